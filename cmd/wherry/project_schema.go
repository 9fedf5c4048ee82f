package main

// projectSchema is the JSON Schema of wherry.yaml, for editors: `wherry init
// --schema` prints it.
const projectSchema = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "wherry.yaml",
  "description": "What the pipelines beside and below this file need of this machine. Relative paths are relative to the file.",
  "type": ["object", "null"],
  "additionalProperties": false,
  "properties": {
    "images": {
      "description": "What an image name in a pipeline means here: a mirror, a local image, or a name of build.",
      "type": "object",
      "additionalProperties": {"type": "string", "minLength": 1}
    },
    "build": {
      "description": "Images that wherry builds once, by name.",
      "type": "object",
      "additionalProperties": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "base": {"description": "Image that requirements are installed on.", "type": "string"},
          "requirements": {
            "description": "Python packages as pip writes them, or the name of a requirements file.",
            "type": ["array", "string"],
            "items": {"type": "string"}
          },
          "context": {"description": "Folder with a Dockerfile, in place of base and requirements.", "type": "string"},
          "dockerfile": {"description": "Path in context; Dockerfile by default.", "type": "string"}
        }
      }
    },
    "mounts": {
      "description": "Files and folders of this machine in every step: SOURCE:TARGET, which steps may write to; SOURCE:TARGET:ro, a source that is snapshotted; SOURCE:TARGET:ro,live, a large one that is used as it is.",
      "type": "array",
      "items": {"type": "string", "pattern": "^[^:]+:/[^:]+(:(ro|rw|ro,live))?$"}
    },
    "trials": {
      "description": "What a trial runs, by the name of the experiment: a container with ${trialParameters.NAME} in its texts, a Job, a Katib trialTemplate, or {pipeline: FILE}.",
      "type": "object",
      "additionalProperties": {
        "type": "object",
        "anyOf": [{"required": ["image"]}, {"required": ["pipeline"]}, {"required": ["kind"]}, {"required": ["trialSpec"]}, {"required": ["configMap"]}]
      }
    },
    "env": {
      "description": "Environment variables of every step.",
      "type": "object",
      "additionalProperties": {"type": ["string", "number", "boolean"]}
    },
    "secrets": {
      "description": "Secrets that pipelines name: a file or folder with the keys, or for each key a file or env:VARIABLE. Values are never stored.",
      "type": "object",
      "additionalProperties": {
        "oneOf": [
          {"type": "string", "minLength": 1},
          {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}
        ]
      }
    },
    "configMaps": {
      "description": "Config maps that pipelines name, as secrets.",
      "type": "object",
      "additionalProperties": {
        "oneOf": [
          {"type": "string", "minLength": 1},
          {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}
        ]
      }
    },
    "params": {
      "description": "Values of the pipeline's parameters; -p wins over them.",
      "type": "object"
    },
    "watch": {
      "description": "What wherry up runs again with each save, as wherry run FILE --watch: files, or what flags say of them.",
      "type": "array",
      "items": {
        "oneOf": [
          {"type": "string", "minLength": 1},
          {
            "type": "object",
            "required": ["file"],
            "additionalProperties": false,
            "properties": {
              "file": {"description": "Pipeline file.", "type": "string", "minLength": 1},
              "name": {"description": "Name of the runs; needed where a file is watched twice.", "type": "string"},
              "params": {"description": "Values of the pipeline's parameters.", "type": "object"},
              "paramsFile": {"description": "YAML or JSON file with parameters.", "type": "string"},
              "mounts": {
                "description": "SOURCE:TARGET or SOURCE:TARGET:ro, in place of those of the project with the same target.",
                "type": "array",
                "items": {"type": "string", "pattern": "^[^:]+:/[^:]+(:[a-z,]+)?$"}
              },
              "backend": {"enum": ["docker", "process"]},
              "platform": {"description": "OS/ARCH of the images.", "type": "string"},
              "network": {"description": "The steps' network.", "enum": ["on", "none"]},
              "maxParallel": {"description": "Steps at once; 0: as many as fit.", "type": "integer", "minimum": 0},
              "cache": {"description": "Use the cache, whatever the file says.", "type": "boolean"},
              "noCache": {
                "description": "Run every step, or these tasks, cached or not.",
                "type": ["boolean", "array", "string"],
                "items": {"type": "string"}
              },
              "noLayers": {"description": "Run commands as they are written.", "type": "boolean"},
              "pipeline": {"description": "Name of the pipeline in a .py file.", "type": "string"},
              "component": {"description": "Name of a component in a .py file.", "type": "string"}
            }
          }
        ]
      }
    },
    "trust": {
      "description": "PEM file with the certificate authorities that steps and image builds trust beside their own.",
      "type": "string"
    }
  }
}
`
