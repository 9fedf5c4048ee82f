package kfp

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag"
)

func commandOf(words ...string) []text {
	var out []text
	for _, w := range words {
		out = append(out, text{Value: w})
	}
	return out
}

func TestFindPython(t *testing.T) {
	const now = "program_path=$(mktemp -d)\n\nprintf \"%s\" \"$0\" > \"$program_path/ephemeral_component.py\"\n_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main                         --component_module_path                         \"$program_path/ephemeral_component.py\"                         \"$@\"\n"
	const before = "program_path=$(mktemp -d)\nprintf \"%s\" \"$0\" > \"$program_path/ephemeral_component.py\"\npython3 -m kfp.components.executor_main                         --component_module_path                         \"$program_path/ephemeral_component.py\"                         \"$@\"\n"
	install := []string{"sh", "-c", ensurePip + noCheck + pipWords + "'six'" + thenRun}
	for _, tt := range []struct {
		name    string
		command []string
		want    *dag.Python
	}{
		{"2.1 and later", append(install[:3:3], "sh", "-ec", now, "def f(): pass"), &dag.Python{Word: 3, Module: "kfp.dsl.executor_main", Source: true}},
		{"nothing to install", []string{"sh", "-ec", now, "def f(): pass"}, &dag.Python{Module: "kfp.dsl.executor_main", Source: true}},
		{"2.0", append(install[:3:3], "sh", "-ec", before, "def f(): pass"), &dag.Python{Word: 3, Module: "kfp.components.executor_main", Source: true}},
		{"with its source in the image", []string{"python3", "-m", "kfp.dsl.executor_main"}, &dag.Python{Module: "kfp.dsl.executor_main"}},
		{"another module", []string{"python3", "-m", "train"}, nil},
		{"another script", []string{"sh", "-ec", now + "echo done\n", "def f(): pass"}, nil},
		{"words after the source", []string{"sh", "-ec", now, "def f(): pass", "more"}, nil},
		{"no source", []string{"sh", "-ec", now}, nil},
		{"nothing", nil, nil},
	} {
		if diff := cmp.Diff(tt.want, findPython(commandOf(tt.command...))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
