package metrics

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

var errTensor = errors.New("not one number")

// tensor is what counts of a TensorProto (tensorflow/core/framework/tensor.proto).
type tensor struct {
	dtype   uint64
	scalar  bool // all dimensions are 1, or there are none
	content []byte
	values  []float64 // of whichever typed list is there; no more than two are kept
}

// readTensor returns the number of a tensor that holds just one, else errTensor.
func readTensor(b []byte) (float64, error) {
	t := tensor{scalar: true}
	err := fields(b, func(num protowire.Number, typ protowire.Type, n uint64, v []byte) error {
		switch {
		case num == 1 && typ == protowire.VarintType:
			t.dtype = n
		case num == 2 && typ == protowire.BytesType:
			return t.readShape(v)
		case num == 4 && typ == protowire.BytesType:
			t.content = v
		case num >= 5:
			return t.readList(num, typ, n, v)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if !t.scalar {
		return 0, errTensor
	}
	if len(t.content) > 0 {
		return t.fromContent()
	}
	switch len(t.values) {
	case 0: // a value that is left out is zero
		if _, numeric := typeSize[t.dtype]; numeric {
			return 0, nil
		}
	case 1:
		return t.values[0], nil
	}
	return 0, errTensor
}

// readShape reads a TensorShapeProto: dim = 2, its size = 1.
func (t *tensor) readShape(b []byte) error {
	return fields(b, func(num protowire.Number, _ protowire.Type, _ uint64, v []byte) error {
		if num != 2 {
			return nil
		}
		size := uint64(0)
		err := fields(v, func(num protowire.Number, _ protowire.Type, n uint64, _ []byte) error {
			if num == 1 {
				size = n
			}
			return nil
		})
		t.scalar = t.scalar && size == 1
		return err
	})
}

// The numbers of DataType (tensorflow/core/framework/types.proto).
const (
	dtFloat    = 1
	dtDouble   = 2
	dtInt32    = 3
	dtUint8    = 4
	dtInt16    = 5
	dtInt8     = 6
	dtInt64    = 9
	dtBool     = 10
	dtBfloat16 = 14
	dtUint16   = 17
	dtHalf     = 19
	dtUint32   = 22
	dtUint64   = 23
)

// typeSize has the bytes of one element.
var typeSize = map[uint64]int{dtFloat: 4, dtDouble: 8, dtInt32: 4, dtUint8: 1, dtInt16: 2, dtInt8: 1, dtInt64: 8,
	dtBool: 1, dtBfloat16: 2, dtUint16: 2, dtHalf: 2, dtUint32: 4, dtUint64: 8}

// fromContent reads tensor_content, which is the element's bytes.
func (t *tensor) fromContent() (float64, error) {
	size, ok := typeSize[t.dtype]
	if !ok || size != len(t.content) {
		return 0, errTensor
	}
	var wide [8]byte
	copy(wide[:], t.content)
	return element(t.dtype, binary.LittleEndian.Uint64(wide[:])), nil
}

// element reads the bits of one element.
func element(dtype, bits uint64) float64 {
	switch dtype {
	case dtFloat:
		return widen(math.Float32frombits(uint32(bits)))
	case dtDouble:
		return math.Float64frombits(bits)
	case dtInt32:
		return float64(int32(bits))
	case dtInt16:
		return float64(int16(bits))
	case dtInt8:
		return float64(int8(bits))
	case dtInt64:
		return float64(int64(bits))
	case dtBfloat16:
		return widen(math.Float32frombits(uint32(bits) << 16))
	case dtHalf:
		return half(uint16(bits))
	}
	return float64(bits)
}

// half reads an IEEE 754 binary16.
func half(bits uint16) float64 {
	sign, exp, frac := 1.0, int(bits>>10&0x1f), float64(bits&0x3ff)
	if bits>>15 == 1 {
		sign = -1
	}
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 0x1f:
		if frac != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(frac+1024, exp-25)
}

// readList reads an element of a typed list, or a packed list: float_val = 5,
// double_val = 6, int_val = 7, int64_val = 10, bool_val = 11, half_val = 13,
// uint32_val = 16, uint64_val = 17.
func (t *tensor) readList(num protowire.Number, typ protowire.Type, n uint64, v []byte) error {
	width := map[protowire.Number]protowire.Type{5: protowire.Fixed32Type, 6: protowire.Fixed64Type,
		7: protowire.VarintType, 10: protowire.VarintType, 11: protowire.VarintType, 13: protowire.VarintType,
		16: protowire.VarintType, 17: protowire.VarintType}
	each, ok := width[num]
	switch {
	case !ok:
		return nil
	case typ == each:
		t.add(n)
		return nil
	case typ != protowire.BytesType:
		return errTensor
	}
	for len(v) > 0 && len(t.values) < 2 {
		var bits uint64
		var k int
		switch each {
		case protowire.Fixed32Type:
			var b uint32
			b, k = protowire.ConsumeFixed32(v)
			bits = uint64(b)
		case protowire.Fixed64Type:
			bits, k = protowire.ConsumeFixed64(v)
		default:
			bits, k = protowire.ConsumeVarint(v)
		}
		if k < 0 {
			return protowire.ParseError(k)
		}
		t.add(bits)
		v = v[k:]
	}
	return nil
}

func (t *tensor) add(bits uint64) {
	if len(t.values) < 2 {
		t.values = append(t.values, element(t.dtype, bits))
	}
}

// widen makes the float64 that a person would write for a float32: 0.9, not
// 0.8999999761581421. Katib's collector prints values in the same way.
func widen(f float32) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	if err != nil {
		return float64(f)
	}
	return v
}
