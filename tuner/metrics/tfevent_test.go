package metrics

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The files are of tensorboardX and tensorboard: see testdata/make.py.
func TestEventsOfRealWriters(t *testing.T) {
	tests := []struct {
		file, dir string
		names     []string
		want      string
	}{
		{"plain.tfevents", "/logs/run", []string{"accuracy", "train/loss"},
			"accuracy 0.5 step 0 at 2023-11-14T22:13:20.25Z\ntrain/loss 1 step 0 at 2023-11-14T22:13:20.25Z\n" +
				"accuracy 0.6 step 1 at 2023-11-14T22:13:21.25Z\ntrain/loss 0.5 step 1 at 2023-11-14T22:13:21.25Z\n" +
				"accuracy 0.7 step 2 at 2023-11-14T22:13:22.25Z\ntrain/loss 0.33333334 step 2 at 2023-11-14T22:13:22.25Z\n" +
				"accuracy NaN step 3 at 2023-11-14T22:13:23.25Z\n"},
		{"tensor.tfevents", "/logs/validation/", []string{"validation/epoch_accuracy"},
			"validation/epoch_accuracy 0.5 step 0 at 2023-11-14T22:13:20.25Z\nvalidation/epoch_accuracy 0.6 step 1 at 2023-11-14T22:13:21.25Z\n" +
				"validation/epoch_accuracy 0.7 step 2 at 2023-11-14T22:13:22.25Z\n"},
		{"tensor.tfevents", "/logs/train", []string{"validation/epoch_accuracy"}, ""},
	}
	for _, tt := range tests {
		g := collect(tt.names...)
		feedAll(NewEvents(g.Collector, EventsOptions{Dir: tt.dir}), readTestdata(t, tt.file))
		if diff := cmp.Diff(tt.want, g.String()); diff != "" {
			t.Errorf("%s in %s: %s", tt.file, tt.dir, diff)
		}
		if p := g.Problems(); len(p) > 0 {
			t.Errorf("%s: %v", tt.file, p)
		}
	}
}

func TestEventsOfEveryType(t *testing.T) {
	types := map[string]string{"float32": "0.9", "float64": "0.9", "int32": "-7", "uint8": "200", "int16": "-300", "int8": "-5",
		"int64": "-1.099511627776e+12", "bool": "1", "uint16": "60000", "uint32": "2.147483648e+09", "uint64": "1.099511627776e+12", "float16": "-1.5"}
	names := []string{"one", "many", "repeated", "text"}
	want := map[string]string{"one": "4.5"} // the others are not one number
	for name, value := range types {
		names = append(names, "list/"+name, "content/"+name)
		want["list/"+name], want["content/"+name] = value, value
	}
	g := collect(names...)
	feedAll(NewEvents(g.Collector, EventsOptions{}), readTestdata(t, "types.tfevents"))
	got := map[string]string{}
	for _, o := range g.all {
		got[o.Metric] = Format(o.Value)
		if o.Step != 5 {
			t.Errorf("%+v", o)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHalf(t *testing.T) {
	for bits, want := range map[uint16]float64{0: 0, 0x3c00: 1, 0xbe00: -1.5, 1: 0x1p-24, 0x7bff: 65504, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x3555: 0.333251953125} {
		if got := half(bits); got != want {
			t.Errorf("%x: %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(half(0x7e00)) {
		t.Error("no NaN")
	}
}

// frame makes a TFRecord.
func frame(data []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out = binary.LittleEndian.AppendUint32(out, maskedCRC(out))
	out = append(out, data...)
	return binary.LittleEndian.AppendUint32(out, maskedCRC(data))
}

// summary makes an event of tags and values.
func summary(step uint64, pairs ...any) []byte {
	var s []byte
	for i := 0; i < len(pairs); i += 2 {
		v := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), pairs[i].(string))
		v = protowire.AppendFixed32(protowire.AppendTag(v, 2, protowire.Fixed32Type), math.Float32bits(float32(pairs[i+1].(float64))))
		s = protowire.AppendBytes(protowire.AppendTag(s, 1, protowire.BytesType), v)
	}
	e := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(float64(noon.Unix())))
	e = protowire.AppendVarint(protowire.AppendTag(e, 2, protowire.VarintType), step)
	return frame(protowire.AppendBytes(protowire.AppendTag(e, 5, protowire.BytesType), s))
}

func TestTags(t *testing.T) {
	tests := []struct {
		name   string
		metric string
		dir    string
		events [][]byte
		want   string
	}{
		{"a tag of another is not mixed in", "accuracy", "", [][]byte{summary(1, "accuracy_top5", 0.9, "accuracy", 0.5)}, "accuracy 0.5 step 1\n"},
		{"TensorFlow 1 numbers its tags", "accuracy", "", [][]byte{summary(1, "accuracy_top5", 0.9, "accuracy_1", 0.5)}, "accuracy 0.5 step 1\n"},
		{"a beginning will do", "loss", "", [][]byte{summary(1, "loss/train", 0.9, "loss/test", 0.5)}, "loss 0.9 step 1\n"},
		{"until a better one comes", "loss", "", [][]byte{summary(1, "loss/train", 0.5), summary(2, "loss", 0.25), summary(3, "loss/train", 0.125)},
			"loss 0.5 step 1\nloss 0.25 step 2\n"},
		{"the folder", "test/loss", "/logs/test", [][]byte{summary(1, "loss", 0.5)}, "test/loss 0.5 step 1\n"},
		{"two folders", "test/a/loss", "/logs/test/a", [][]byte{summary(1, "loss", 0.5)}, "test/a/loss 0.5 step 1\n"},
		{"another folder", "test/loss", "/logs/mytest", [][]byte{summary(1, "loss", 0.5)}, ""},
		{"a tag with a folder's look", "test/loss", "/logs", [][]byte{summary(1, "test/loss", 0.5)}, "test/loss 0.5 step 1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := collect(tt.metric)
			feedAll(NewEvents(g.Collector, EventsOptions{Dir: tt.dir}), bytes.Join(tt.events, nil))
			if diff := cmp.Diff(tt.want, g.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
	g := collect("accuracy")
	feedAll(NewEvents(g.Collector, EventsOptions{}), summary(1, "val/accuracy", 0.5, "loss", 1.0))
	var e *UnavailableError
	if !errors.As(g.Err(), &e) || e.Hint() != "objectiveMetricName: val/accuracy" {
		t.Errorf("%v, try: %s", e, e.Hint())
	}
}

func TestDamagedRecords(t *testing.T) {
	good := bytes.Join([][]byte{summary(1, "loss", 1.0), summary(2, "loss", 2.0), summary(3, "loss", 3.0)}, nil)
	size := len(good) / 3
	damage := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	tests := []struct {
		name, want, problem string
		input               []byte
	}{
		{"data", "loss 1 step 1\nloss 3 step 3\n", "f: record at byte 42 is damaged: its crc is ", damage(size + 20)},
		{"length", "loss 1 step 1\n", "f: record at byte 42: its length is damaged: its crc is ", damage(size + 2)},
		{"cut short", "loss 1 step 1\nloss 2 step 2\n", "f: the last record is cut short, at byte 121", good[:len(good)-5]},
		{"no event", "loss 1 step 1\n", "f: the record that ends at byte 63 is no event: ", append(good[:size:size], frame([]byte("\x2a\x05abc"))...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := collect("loss")
			feedAll(NewEvents(g.Collector, EventsOptions{Source: "f"}), tt.input)
			if diff := cmp.Diff(tt.want, g.String()); diff != "" {
				t.Error(diff)
			}
			if p := g.Problems(); len(p) != 1 || !strings.HasPrefix(p[0], tt.problem) {
				t.Errorf("problems %q, want %q", p, tt.problem)
			}
		})
	}
}

func TestARecordThatIsTooLargeIsPassedOver(t *testing.T) {
	g := collect("loss")
	p := NewEvents(g.Collector, EventsOptions{})
	huge := binary.LittleEndian.AppendUint64(nil, maxRecord+1)
	p.Feed(binary.LittleEndian.AppendUint32(huge, maskedCRC(huge)), noon)
	chunk := make([]byte, 1<<20)
	for left := maxRecord + 5; left > 0; left -= len(chunk) {
		p.Feed(chunk[:min(left, len(chunk))], noon)
	}
	feedAll(p, summary(1, "loss", 0.5))
	if g.String() != "loss 0.5 step 1\n" || cap(p.records.buf) > 1<<20 {
		t.Errorf("%q, with a buffer of %d bytes", g.String(), cap(p.records.buf))
	}
}

func TestEventsHowTheyAreCutMakesNoDifference(t *testing.T) {
	input := readTestdata(t, "plain.tfevents")
	whole := collect("accuracy", "train/loss")
	feedAll(NewEvents(whole.Collector, EventsOptions{}), input)
	rapid.Check(t, func(t *rapid.T) {
		g := collect("accuracy", "train/loss")
		cutUp(t, NewEvents(g.Collector, EventsOptions{}), input)
		if diff := cmp.Diff(whole.full(), g.full()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add(readTestdata(f, "plain.tfevents"), byte(7))
	f.Add(summary(1, "loss", 0.5), byte(1))
	f.Fuzz(func(t *testing.T, input []byte, size byte) {
		whole, pieces := collect("loss", "accuracy"), collect("loss", "accuracy")
		feedAll(NewEvents(whole.Collector, EventsOptions{}), input)
		feedPieces(NewEvents(pieces.Collector, EventsOptions{}), input, int(size))
		if diff := cmp.Diff(whole.full(), pieces.full()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Checksums keep fuzzed bytes away from the decoder, so it has a target of its own.
func FuzzEvent(f *testing.F) {
	for _, name := range []string{"types.tfevents", "tensor.tfevents"} {
		r := records{emit: func(data []byte, _ int64) { f.Add(bytes.Clone(data)) }}
		r.feed(readTestdata(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := readEvent(data); err == nil && len(e.scalars) > len(data) {
			t.Fatalf("%d scalars in %d bytes", len(e.scalars), len(data))
		}
	})
}
