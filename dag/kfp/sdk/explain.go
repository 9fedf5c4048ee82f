package sdk

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag/source"
)

// maxMessage is how much of an exception's text is shown, in characters: some hold
// a whole document.
const maxMessage = 1000

// message says what is wrong.
func (r *reply) message() string {
	text := strings.Join(strings.FieldsFunc(r.Message, func(c rune) bool { return c == '\n' || c == '\r' }), "\n  ")
	if c := []rune(text); len(c) > maxMessage {
		text = string(c[:maxMessage]) + "…"
	}
	switch r.Kind {
	case kindOldKFP:
		return fmt.Sprintf("can't be compiled: kfp %s is of the first generation, whose pipelines are Argo's", r.KFP)
	case kindBrokenKFP:
		return "can't be compiled: kfp can't be imported: " + text
	case kindSyntax, kindTypes, kindSDK:
		return text
	case kindModule:
		if len(r.Missing) > 1 {
			return fmt.Sprintf("%s are not installed (%s)", quoted(r.Missing), text)
		}
		return fmt.Sprintf("%q is not installed (%s)", r.Module, text)
	case kindExit:
		return fmt.Sprintf("ends the process while it is imported (%s)", strings.TrimSuffix("SystemExit: "+text, ": "))
	}
	return strings.TrimSuffix(r.Type+": "+text, ": ")
}

// mend says what to do about it; "" where the message says it all.
func (o *Options) mend(r *reply, py *interpreter) string {
	switch r.Kind {
	case kindOldKFP, kindBrokenKFP:
		return py.toInstall("'kfp>=2'")
	case kindSyntax:
		return fmt.Sprintf("correct the line (it was read by Python %s)", r.Python)
	case kindModule:
		return o.mendModule(r, py)
	case kindImport:
		if strings.Contains(r.Message, "cannot import name 'kubernetes' from 'kfp'") {
			return py.toInstall("kfp-kubernetes")
		}
		return fmt.Sprintf("see which versions are installed in %s, or correct the import", py.what)
	case kindTypes:
		return mendTypes(r)
	case kindSDK:
		return mendSDK(r)
	case kindFile:
		return fmt.Sprintf("paths in the file are seen from the folder that wherry is run in, as with python: cd %s first, or build them from __file__", filepath.Dir(o.File))
	case kindExit:
		return `put what only a script does under if __name__ == "__main__":`
	}
	return ""
}

// toInstall is the command that installs packages into this Python.
func (py *interpreter) toInstall(packages string) string {
	if py.install == "" {
		return ownEnv + " " + packages
	}
	return py.install + " " + packages
}

// projects are the packages whose modules have another name.
var projects = map[string]string{
	"sklearn": "scikit-learn", "yaml": "PyYAML", "cv2": "opencv-python-headless", "PIL": "Pillow", "bs4": "beautifulsoup4",
	"dateutil": "python-dateutil", "dotenv": "python-dotenv", "skimage": "scikit-image", "Crypto": "pycryptodome",
	"google_cloud_pipeline_components": "google-cloud-pipeline-components",
}

// mendModule says where a module would come from: a folder that is not on the path,
// a package, or nowhere, if only a step needs it.
func (o *Options) mendModule(r *reply, py *interpreter) string {
	if r.Module == "kfp.kubernetes" {
		return py.toInstall("kfp-kubernetes")
	}
	if r.Near != "" {
		return fmt.Sprintf("it is in %s: PYTHONPATH=%s wherry run %s", r.Near, r.Near, o.File)
	}
	var names []string
	for _, m := range r.Missing {
		name := projects[m]
		if name == "" {
			name = m
		}
		names = append(names, name)
	}
	return fmt.Sprintf("install it: %s; or move the import into the component's function: a step sees only what its own function imports",
		py.toInstall(strings.Join(names, " ")))
}

// misfit reads kfp's words about an argument that does not fit its input.
var misfit = regexp.MustCompile(`input '(.+)' of component '.+': Argument type '(.+)' is incompatible with the input type '(.+)'`)

// artifactClass reads an artifact's type, such as system.Model@0.0.1.
var artifactClass = regexp.MustCompile(`(?:system|google)\.(\w+)(?:@[\w.]+)?`)

// annotations are the Python types of IR's.
var annotations = map[string]string{
	"STRING": "str", "NUMBER_INTEGER": "int", "NUMBER_DOUBLE": "float", "BOOLEAN": "bool", "LIST": "list", "STRUCT": "dict",
}

// mendTypes says how the two sides of an argument are made to agree.
func mendTypes(r *reply) string {
	m := misfit.FindStringSubmatch(r.Message)
	if m == nil {
		return ""
	}
	input, given, want := m[1], m[2], m[3]
	where := "the component"
	if r.Function != "" {
		where = fmt.Sprintf("%s (line %d)", r.Function, r.Defined)
	}
	class := artifactClass.ReplaceAllString(given, "$1")
	switch givenType, wantType := annotations[given], annotations[want]; {
	case givenType == "" && wantType != "":
		return fmt.Sprintf("declare %s: Input[%s] in %s and open %s.path there; or hand it a parameter", input, class, where, input)
	case givenType != "" && wantType == "":
		return fmt.Sprintf("hand it an artifact: a task's output or dsl.importer(…).output; or declare %s: %s in %s", input, givenType, where)
	case givenType != "" && wantType != "":
		return fmt.Sprintf("declare %s: %s in %s, or hand it a value of type %s", input, givenType, where, wantType)
	}
	return fmt.Sprintf("declare %s with the type of what it is given, in %s", input, where)
}

var (
	missingArguments = regexp.MustCompile(`missing \d+ required arguments?: (.+)\.`)
	unknownArgument  = regexp.MustCompile(`got an unexpected keyword argument "(.+)"|unexpected input: '(.+)'`)
	untypedArgument  = regexp.MustCompile(`Missing type annotation for argument: (\w+)`)
)

// mendSDK says what to do about kfp's own refusals, those that are met most.
func mendSDK(r *reply) string {
	if m := missingArguments.FindStringSubmatch(r.Message); m != nil {
		var given []string
		for name := range strings.SplitSeq(m[1], ", ") {
			given = append(given, name+"=…")
		}
		return fmt.Sprintf("hand it %s, or give it a default in %s", strings.Join(given, ", "), r.component())
	}
	if m := unknownArgument.FindStringSubmatch(r.Message); m != nil {
		if near := source.Nearest(m[1]+m[2], slices.Clone(r.Arguments)); near != "" {
			return fmt.Sprintf("did you mean %s=…?", near)
		}
		return "the inputs are those of " + r.component()
	}
	if m := untypedArgument.FindStringSubmatch(r.Message); m != nil {
		return fmt.Sprintf("write its type: %s: str, or Input[Dataset] for an artifact", m[1])
	}
	switch {
	case strings.Contains(r.Message, "must be instantiated using keyword arguments"):
		return "write the arguments with their names: task(input=value)"
	case strings.Contains(r.Message, "Task is missing from pipeline"):
		return "call a component in the pipeline's function"
	case strings.Contains(r.Message, "kfp.local.init"):
		return `call components inside a pipeline's function, or under if __name__ == "__main__": wherry starts no step while it reads the file`
	}
	return ""
}

// component names the component that kfp's words are about.
func (r *reply) component() string {
	if r.Function == "" {
		return "the component's function"
	}
	return fmt.Sprintf("%s (line %d)", r.Function, r.Defined)
}
