package metrics

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestJSON(t *testing.T) {
	tests := []struct{ name, input, want string }{
		{"Katib's example", `{"epoch": 0, "accuracy": "0.5", "loss": "1e-1", "timestamp": "2021-12-02T14:27:51.000035161+09:00"}` + "\n" +
			`{"epoch": 0, "accuracy": "0.6", "timestamp": 1638422847.28721}`,
			"accuracy 0.5 at 2021-12-02T05:27:51.000035161Z\nloss 0.1 at 2021-12-02T05:27:51.000035161Z\naccuracy 0.6 at 2021-12-02T05:27:27.28721Z\n"},
		{"numbers", `{"loss": 0.25, "accuracy": -1e2}` + "\n", "accuracy -100\nloss 0.25\n"},
		{"half a second is half a second", `{"loss": 1, "timestamp": 1638422847.5}`, "loss 1 at 2021-12-02T05:27:27.5Z\n"},
		{"seconds as text, and with an exponent", `{"loss": 1, "timestamp": "1638422847.000000001"}` + "\n" + `{"loss": 2, "timestamp": 1.6e9}`,
			"loss 1 at 2021-12-02T05:27:27.000000001Z\nloss 2 at 2020-09-13T12:26:40Z\n"},
		{"no time", `{"loss": 1, "timestamp": "yesterday"}` + "\n" + `{"loss": 2, "timestamp": -1}` + "\n" + `{"loss": 3, "timestamp": 1e999}` + "\n" +
			`{"loss": 4, "timestamp": 1e-999999999}` + "\n" + `{"loss": 5, "timestamp": [1]}` + "\n" + `{"loss": 6, "timestamp": 9999999999999999}`,
			"loss 1\nloss 2\nloss 3\nloss 4\nloss 5\nloss 6\n"},
		{"Python's constants", `{"loss": NaN, "accuracy": -Infinity, "note": "is NaN \" NaN"}` + "\n" + `{"loss": "nan"}` + "\n" + `{"loss": Infinity}`,
			"accuracy -Inf\nloss NaN\nloss NaN\nloss +Inf\n"},
		{"no metrics", `{"loss": null, "accuracy": true}` + "\n" + `{"loss": {"a": 1}, "accuracy": ""}`, ""},
		{"lines that are no object", "Epoch 1\n[1]\nnull\n\n  \r\n{\"loss\": 1}\n{\"loss\": 2", "loss 1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := collect("accuracy", "loss")
			feedAll(NewJSON(g.Collector, JSONOptions{}), []byte(tt.input))
			if diff := cmp.Diff(tt.want, g.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJSONSaysWhatItDidNotRead(t *testing.T) {
	g := collect("accuracy")
	long := `{"accuracy": "` + strings.Repeat("x", maxJSONLine) + `"}`
	feedAll(NewJSON(g.Collector, JSONOptions{Source: "m.json"}), []byte("Epoch 1\n{\"acc\": 0.5, \"name\": \"x\", \"accuracy\": \"high\"}\n"+long+"\n{\"Accuracy\": \"1\"}\n"))
	want := `metric "accuracy" never came; seen instead: acc, Accuracy (m.json: a line is not a JSON object: "Epoch 1"; ` +
		`m.json: accuracy has a value that is not a number: "high"; m.json: the line at byte 54 is longer than 1 MiB)`
	err := g.Err()
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if got := g.Unavailable("accuracy").Hint(); got != "objectiveMetricName: Accuracy" {
		t.Error(got)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"loss": 0.1, "accuracy": "nan", "timestamp": 1.5}`+"\n"), byte(3))
	f.Add([]byte(`{"loss": -Infinity, "x\"": NaN}`+"\r\n{"), byte(1))
	f.Fuzz(func(t *testing.T, input []byte, size byte) {
		whole, pieces := collect("loss", "accuracy"), collect("loss", "accuracy")
		feedAll(NewJSON(whole.Collector, JSONOptions{}), input)
		feedPieces(NewJSON(pieces.Collector, JSONOptions{}), input, int(size))
		if diff := cmp.Diff(whole.full(), pieces.full()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestJSONHowItIsCutMakesNoDifference(t *testing.T) {
	input := []byte("{\"loss\": 0.5}\n{\"loss\": NaN}\nnoise " + strings.Repeat("x", 50) + "\r\n{\"loss\": \"2\"}")
	rapid.Check(t, func(t *rapid.T) {
		g := collect("loss")
		p := NewJSON(g.Collector, JSONOptions{})
		p.lines.limit = 30
		cutUp(t, p, input)
		if got, want := g.String(), "loss 0.5\nloss NaN\nloss 2\n"; got != want || p.lines.pos != int64(len(input)) {
			t.Fatalf("got %q at %d", got, p.lines.pos)
		}
	})
}
