package dag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// What Linux takes of a process's arguments and variables: each with its NUL (32
// pages), and all together with a pointer each (a quarter of the usual stack),
// less what the image and the engine add.
const (
	maxArgument  = 128 << 10
	maxArguments = 2<<20 - 128<<10
)

// argumentsVolume holds the arguments that are too long for a command line.
const argumentsVolume = "arguments"

// argumentsFile is the file in it.
const argumentsFile = "arguments.json"

// pythonStarter runs a module as "python3 -m" does, with arguments and source from
// the file that it is given.
const pythonStarter = `import json, os, runpy, sys, tempfile
with open(sys.argv[1]) as f:
    start = json.load(f)
os.environ['_KFP_RUNTIME'] = 'true'
sys.argv = [start['module']]
if start['source'] is not None:
    path = os.path.join(tempfile.mkdtemp(), 'ephemeral_component.py')
    with open(path, 'w') as f:
        f.write(start['source'])
    sys.argv += ['--component_module_path', path]
sys.argv += start['arguments']
runpy.run_module(start['module'], run_name='__main__', alter_sys=True)
`

// fit keeps c within what Linux takes. The arguments of the SDK's Python components
// go by a file where they are too long; of any other command that is an error.
func (r render) fit(spec *Container, c *runner.Container, pod *runner.Pod) error {
	long := r.tooLong(c)
	if long == nil {
		return nil
	}
	p := spec.Python
	if p == nil || long.variable != "" {
		return long
	}
	at := p.Word - (len(spec.Command) - len(spec.command(r.run.Options)))
	start := struct {
		Module    string   `json:"module"`
		Source    *string  `json:"source"`
		Arguments []string `json:"arguments"`
	}{Module: p.Module, Arguments: slices.Concat(c.Command[at+3:], c.Args)}
	if p.Source {
		start.Source, start.Arguments = &c.Command[at+3], c.Args
	}
	var file bytes.Buffer
	enc := json.NewEncoder(&file)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(start); err != nil {
		return err
	}
	// Beside the outputs directory, which every backend can place.
	v := runner.Volume{Name: argumentsVolume + "-" + c.Name, Files: map[string]runner.File{argumentsFile: {Data: file.Bytes()}}}
	m := runner.Mount{Volume: v.Name, Path: r.dir + "." + v.Name, ReadOnly: true}
	pod.Volumes = append(pod.Volumes, v)
	c.Mounts = append(c.Mounts, m)
	c.Command = append(c.Command[:at:at], "python3", "-c", pythonStarter, m.Path+"/"+argumentsFile)
	c.Args = nil
	if long := r.tooLong(c); long != nil {
		return long
	}
	return nil
}

// tooLongError says what does not fit on a command line.
type tooLongError struct {
	what      string // "argument 3"
	variable  string // set where it is one of the environment
	size      int64  // bytes
	limit     int64
	parameter string // the input that makes it long; "" where none does
	bytes     int64  // of its value
}

func (e *tooLongError) Error() string {
	text := fmt.Sprintf("%s has %d bytes, and Linux takes at most %d", e.what, e.size, e.limit)
	if e.parameter != "" {
		text += fmt.Sprintf(": input parameter %q has %d of them", e.parameter, e.bytes)
	}
	return text
}

// Hint says what to do next.
func (e *tooLongError) Hint() string {
	return "hand it on as an artifact, or as a file that the step reads (InputPath); Python components of the kfp SDK take parameters of any size"
}

// tooLong returns what of c's arguments and variables is too long; nil: all fits.
func (r render) tooLong(c *runner.Container) *tooLongError {
	total := int64(0)
	check := func(what, variable, text string) *tooLongError {
		size := int64(len(text)) + 1
		total += size + 8
		if size <= maxArgument {
			return nil
		}
		return r.blame(&tooLongError{what: what, variable: variable, size: size, limit: maxArgument}, text)
	}
	words := slices.Concat(c.Command, c.Args)
	for i, w := range words {
		if e := check(fmt.Sprintf("argument %d of the command", i), "", w); e != nil {
			return e
		}
	}
	for _, v := range c.Env {
		if e := check("variable "+v.Name, v.Name, v.Name+"="+v.Value); e != nil {
			return e
		}
	}
	if total > maxArguments {
		return r.blame(&tooLongError{what: "the command with its variables", size: total, limit: maxArguments}, strings.Join(words, " "))
	}
	return nil
}

// blame names the longest input parameter that is part of text.
func (r render) blame(e *tooLongError, text string) *tooLongError {
	for _, name := range sortedKeys(r.inputs().Parameters) {
		value := FormatValue(r.inputs().Parameters[name])
		size := int64(len(value))
		if size <= e.bytes || size < 1<<10 {
			continue
		}
		// In JSON it is written otherwise: then its size alone speaks against it.
		if strings.Contains(text, value) || strings.Contains(text, "{") {
			e.parameter, e.bytes = name, size
		}
	}
	return e
}
