package kfp

import (
	"regexp"
	"slices"

	"github.com/wherry-ml/wherry/dag"
)

// bootstrapForm is the script with which the SDK's lightweight components start: it
// writes the word after it to a file and runs the SDK's executor on that
// (_get_command_and_args_for_lightweight_component in kfp/dsl/component_factory.py).
var bootstrapForm = regexp.MustCompile(`^\s*program_path=\$\(mktemp\s+-d\)\s+printf\s+"%s"\s+"\$0"\s+>\s+"\$program_path/ephemeral_component\.py"\s+` +
	`(?:_KFP_RUNTIME=true\s+)?python3\s+-m\s+([\w.]+)\s+(?:\\\s*)?--component_module_path\s+(?:\\\s*)?"\$program_path/ephemeral_component\.py"\s+(?:\\\s*)?"\$@"\s*$`)

// executorModules are the SDK's executors, by version.
var executorModules = []string{"kfp.dsl.executor_main", "kfp.components.executor_main", "kfp.v2.components.executor_main"}

// findPython returns how a command starts one of the SDK's Python components; nil
// where it does not.
func findPython(command []text) *dag.Python {
	at := 0
	if _, ok := findPreamble(command); ok {
		at = 3
	}
	words := command[at:]
	switch {
	case len(words) == 4 && isShell(words[0].Value) && words[1].Value == "-ec":
		m := bootstrapForm.FindStringSubmatch(words[2].Value)
		if m != nil && slices.Contains(executorModules, m[1]) {
			return &dag.Python{Word: at, Module: m[1], Source: true}
		}
	case len(words) == 3 && words[0].Value == "python3" && words[1].Value == "-m" && slices.Contains(executorModules, words[2].Value):
		return &dag.Python{Word: at, Module: words[2].Value}
	}
	return nil
}
