package bench

import (
	"crypto/md5" // DVC's
	"fmt"
	"strings"
)

// graph is layers of tasks, each made of the outputs of two tasks of the layer
// before, for wherry and for its peers.
type graph struct{ depth, width int }

func (g graph) tasks() int { return g.depth * g.width }

// each visits the tasks, each after those that it is made of: none, or two.
func (g graph) each(visit func(name string, from ...string)) {
	for l := range g.depth {
		for i := range g.width {
			name := fmt.Sprintf("t%d-%d", l, i)
			if l == 0 {
				visit(name)
				continue
			}
			visit(name, fmt.Sprintf("t%d-%d", l-1, i), fmt.Sprintf("t%d-%d", l-1, (i+1)%g.width))
		}
	}
}

// What a task does, with its name or its inputs, and its output, as arguments.
const (
	makeFirst = `echo "$0" >"$1"`
	makeNext  = `cat "$0" "$1" >"$2"`
)

// kfp is the graph as the SDK compiles it: a component and an executor for each task,
// artifacts handed on.
func (g graph) kfp(image string) string {
	const artifact = "          artifactType:\n            schemaTitle: system.Dataset\n            schemaVersion: 0.0.1\n"
	var components, executors, tasks strings.Builder
	g.each(func(name string, from ...string) {
		fmt.Fprintf(&components, "  comp-%s:\n    executorLabel: exec-%s\n", name, name)
		fmt.Fprintf(&executors, "    exec-%s:\n      container:\n        image: %s\n        command: [sh, -c, %q]\n        args:\n", name, image,
			strings.ReplaceAll(kfpCommand(from), "\n", " "))
		fmt.Fprintf(&tasks, "      %s:\n        cachingOptions:\n          enableCache: true\n        componentRef:\n          name: comp-%s\n", name, name)
		if len(from) == 0 {
			fmt.Fprintf(&executors, "        - %s\n", name)
		} else {
			fmt.Fprintf(&tasks, "        dependentTasks: [%s]\n        inputs:\n          artifacts:\n", strings.Join(from, ", "))
			components.WriteString("    inputDefinitions:\n      artifacts:\n")
		}
		for i, f := range from {
			input := string(rune('a' + i))
			fmt.Fprintf(&components, "        %s:\n%s", input, artifact)
			fmt.Fprintf(&executors, "        - \"{{$.inputs.artifacts['%s'].path}}\"\n", input)
			fmt.Fprintf(&tasks, "            %s:\n              taskOutputArtifact:\n                outputArtifactKey: o\n                producerTask: %s\n", input, f)
		}
		fmt.Fprintf(&components, "    outputDefinitions:\n      artifacts:\n        o:\n%s", artifact)
		executors.WriteString("        - \"{{$.outputs.artifacts['o'].path}}\"\n")
		fmt.Fprintf(&tasks, "        taskInfo:\n          name: %s\n", name)
	})
	return "components:\n" + components.String() + "deploymentSpec:\n  executors:\n" + executors.String() +
		"pipelineInfo:\n  name: graph\nroot:\n  dag:\n    tasks:\n" + tasks.String() + "schemaVersion: 2.1.0\nsdkVersion: kfp-2.17.0\n"
}

func kfpCommand(from []string) string {
	if len(from) == 0 {
		return makeFirst
	}
	return makeNext
}

// dvc is the graph as a dvc.yaml; the outputs are files beside it.
func (g graph) dvc() string {
	var b strings.Builder
	b.WriteString("stages:\n")
	g.each(func(name string, from ...string) {
		fmt.Fprintf(&b, "  %s:\n    cmd: %s\n", name, dvcCommand(name, from))
		if len(from) > 0 {
			fmt.Fprintf(&b, "    deps:\n    - %s.out\n    - %s.out\n", from[0], from[1])
		}
		fmt.Fprintf(&b, "    outs:\n    - %s.out\n", name)
	})
	return b.String()
}

// outputs are the files that the tasks make.
func (g graph) outputs() map[string]string {
	files := map[string]string{}
	g.each(func(name string, from ...string) {
		text := name + "\n"
		if len(from) > 0 {
			text = files[from[0]+".out"] + files[from[1]+".out"]
		}
		files[name+".out"] = text
	})
	return files
}

// dvcLock is the dvc.lock that is there once all stages have run.
func (g graph) dvcLock() string {
	files := g.outputs()
	file := func(name string) string {
		return fmt.Sprintf("    - path: %[1]s.out\n      hash: md5\n      md5: %[2]x\n      size: %[3]d\n", name, md5.Sum([]byte(files[name+".out"])), len(files[name+".out"]))
	}
	var b strings.Builder
	b.WriteString("schema: '2.0'\nstages:\n")
	g.each(func(name string, from ...string) {
		fmt.Fprintf(&b, "  %s:\n    cmd: %s\n", name, dvcCommand(name, from))
		if len(from) > 0 {
			fmt.Fprintf(&b, "    deps:\n%s%s", file(min(from[0], from[1])), file(max(from[0], from[1])))
		}
		fmt.Fprintf(&b, "    outs:\n%s", file(name))
	})
	return b.String()
}

func dvcCommand(name string, from []string) string {
	if len(from) == 0 {
		return fmt.Sprintf("echo %[1]s >%[1]s.out", name)
	}
	return fmt.Sprintf("cat %s.out %s.out >%s.out", from[0], from[1], name)
}

// ninja is the graph as a build.ninja.
func (g graph) ninja() string {
	var b strings.Builder
	b.WriteString("rule first\n  command = echo $out >$out\nrule next\n  command = cat $in >$out\n")
	g.each(func(name string, from ...string) {
		if len(from) == 0 {
			fmt.Fprintf(&b, "build %s.out: first\n", name)
			return
		}
		fmt.Fprintf(&b, "build %s.out: next %s.out %s.out\n", name, from[0], from[1])
	})
	return b.String()
}
