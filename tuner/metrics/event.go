package metrics

import (
	"errors"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// event is what counts of a tensorflow.Event (tensorflow/core/util/event.proto):
// wall_time = 1, step = 2, summary = 5.
type event struct {
	time    time.Time
	step    int64
	scalars []scalar
}

// scalar is a Summary.Value (tensorflow/core/framework/summary.proto) of one
// number: tag = 1, simple_value = 2, tensor = 8.
type scalar struct {
	tag   string
	value float64
}

// fields calls f for each field of a message; v has the bytes of a length-
// delimited field, n the number of any other.
func fields(b []byte, f func(num protowire.Number, typ protowire.Type, n uint64, v []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var number uint64
		var bytes []byte
		switch typ {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			number = uint64(v)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(num, typ, number, bytes); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// readEvent decodes an event; one without scalars has none.
func readEvent(data []byte) (event, error) {
	var e event
	err := fields(data, func(num protowire.Number, typ protowire.Type, n uint64, v []byte) error {
		switch {
		case num == 1 && typ == protowire.Fixed64Type:
			e.time = floatTime(math.Float64frombits(n))
		case num == 2 && typ == protowire.VarintType:
			e.step = int64(n)
		case num == 5 && typ == protowire.BytesType:
			return e.readSummary(v)
		}
		return nil
	})
	return e, err
}

// floatTime makes a time of seconds since 1970; zero where there is none.
func floatTime(s float64) time.Time {
	if !(s > 0 && s < lastSecond) {
		return time.Time{}
	}
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(part*1e9)).UTC()
}

func (e *event) readSummary(b []byte) error {
	return fields(b, func(num protowire.Number, typ protowire.Type, _ uint64, v []byte) error {
		if num != 1 || typ != protowire.BytesType {
			return nil
		}
		s, ok, err := readValue(v)
		if ok {
			e.scalars = append(e.scalars, s)
		}
		return err
	})
}

// readValue decodes a Summary.Value; false if it is no scalar (an image, say).
func readValue(b []byte) (scalar, bool, error) {
	var s scalar
	found := false
	err := fields(b, func(num protowire.Number, typ protowire.Type, n uint64, v []byte) error {
		switch {
		case num == 1 && typ == protowire.BytesType:
			s.tag = string(v)
		case num == 2 && typ == protowire.Fixed32Type:
			s.value, found = widen(math.Float32frombits(uint32(n))), true
		case num == 8 && typ == protowire.BytesType:
			value, err := readTensor(v)
			if err == nil {
				s.value, found = value, true
			} else if !errors.Is(err, errTensor) {
				return err
			}
		}
		return nil
	})
	return s, found && err == nil, err
}
