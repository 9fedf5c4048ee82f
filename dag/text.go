package dag

// Text is a string with placeholders: its parts, joined, are the string.
type Text []Part

// Part is literal text, or a reference that is resolved when the task starts.
type Part struct {
	Text string `json:"text,omitempty"`
	Ref  *Ref   `json:"ref,omitempty"`
}

// Literal returns the Text of a plain string.
func Literal(s string) Text {
	if s == "" {
		return nil
	}
	return Text{{Text: s}}
}

// Ref is a placeholder.
type Ref struct {
	Kind RefKind `json:"kind"`
	Name string  `json:"name,omitempty"` // of the input or output
	Key  string  `json:"key,omitempty"`  // of RefInputMetadata, RefOutputMetadata
}

// RefKind is what a placeholder stands for.
type RefKind string

// The placeholders, with KFP's notation of each.
const (
	RefExecutorInput  RefKind = "executorInput"  // {{$}}
	RefOutputFile     RefKind = "outputFile"     // {{$.outputs.output_file}}
	RefInputValue     RefKind = "inputValue"     // {{$.inputs.parameters['p']}}; Argo {{inputs.parameters.p}}
	RefOutputValue    RefKind = "outputValue"    // {{$.outputs.parameters['p'].output_file}}
	RefInputArtifact  RefKind = "inputArtifact"  // {{$.inputs.artifacts['a']}}
	RefInputURI       RefKind = "inputURI"       // ….uri
	RefInputPath      RefKind = "inputPath"      // ….path
	RefInputMetadata  RefKind = "inputMetadata"  // ….metadata['k']
	RefOutputArtifact RefKind = "outputArtifact" // {{$.outputs.artifacts['a']}}
	RefOutputURI      RefKind = "outputURI"      // ….uri
	RefOutputPath     RefKind = "outputPath"     // ….path
	RefOutputMetadata RefKind = "outputMetadata" // ….metadata['k']
	RefRun            RefKind = "run"            // {{$.pipeline_job_name}} and its like; Name is KFP's name of it
	RefWorkspace      RefKind = "workspace"      // {{$.workspace_path}}
)

// Arg is one argument of a command: text, or what becomes zero or more
// arguments. Exactly one field is set; none is the empty string.
type Arg struct {
	Text      Text       `json:"text,omitempty"`
	IfPresent *IfPresent `json:"ifPresent,omitempty"`
	Concat    []Arg      `json:"concat,omitempty"` // joined to one argument
}

// IfPresent becomes Then where the input has a value, else Else.
type IfPresent struct {
	Input string `json:"input"`
	Then  []Arg  `json:"then,omitempty"`
	Else  []Arg  `json:"else,omitempty"`
}

// Args returns literal arguments.
func Args(texts ...string) []Arg {
	args := make([]Arg, len(texts))
	for i, t := range texts {
		args[i] = Arg{Text: Literal(t)}
	}
	return args
}
