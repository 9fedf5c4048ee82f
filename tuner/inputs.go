package tuner

import "fmt"

// Inputs are the texts that a trial's pipeline gets for its parameters, by input.
func (t *Trial) Inputs(e *Experiment) (map[string]string, error) {
	values := map[string]string{}
	for _, a := range t.Assignments(e) {
		values[a.Name] = a.Value
	}
	out := map[string]string{}
	for _, b := range e.Trial.Parameters {
		switch b.Meta {
		case "":
			if v, ok := values[b.Parameter]; ok { // else a condition says that it is not there
				out[b.Input] = v
			}
		case "Name":
			out[b.Input] = t.Name
		case "Experiment":
			out[b.Input] = e.Name
		default:
			return nil, fmt.Errorf("input %s: there is no %q of a trial", b.Input, b.Meta)
		}
	}
	return out, nil
}
