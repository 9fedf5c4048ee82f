package metrics

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// maxRecord is the largest record, in bytes, that is read: a summary with a few
// images is far smaller. A larger one is passed over.
const maxRecord = 32 << 20

const recordHeader = 12 // length, and its checksum

// records cuts a stream into TFRecords: length (8 bytes, little endian), masked
// CRC-32C of the length, data, masked CRC-32C of the data (tensorflow/core/lib/io/
// record_writer.h). The last record of a file that is still being written may be
// there in part: it is waited for.
type records struct {
	emit    func(data []byte, pos int64)
	problem func(format string, args ...any)

	buf  []byte
	pos  int64 // where buf begins in the stream
	skip int64 // bytes of a record that is too large
	dead bool  // a length was damaged: nothing after it can be found
}

func (r *records) feed(p []byte) {
	for len(p) > 0 && !r.dead {
		if r.skip > 0 {
			n := min(r.skip, int64(len(p)))
			r.skip, r.pos, p = r.skip-n, r.pos+n, p[n:]
			continue
		}
		need := r.need()
		if n := min(need-len(r.buf), len(p)); n > 0 {
			r.buf = append(r.buf, p[:n]...)
			p = p[n:]
		}
		if len(r.buf) == need {
			r.complete()
		}
	}
}

// need is how long buf must be for the next step: a header, or all of a record.
func (r *records) need() int {
	if len(r.buf) < recordHeader {
		return recordHeader
	}
	return recordHeader + int(binary.LittleEndian.Uint64(r.buf)) + 4
}

// complete is called when buf has a header or a record.
func (r *records) complete() {
	length := binary.LittleEndian.Uint64(r.buf)
	if len(r.buf) == recordHeader {
		if err := check(r.buf[:8], r.buf[8:]); err != nil {
			r.problem("record at byte %d: its length is damaged: %v; the rest of the file is not read", r.pos, err)
			r.dead, r.buf = true, nil
		} else if length > maxRecord {
			r.problem("record at byte %d has %d bytes, which is too large to be read", r.pos, length)
			// A length beyond int64 has a valid checksum only on purpose.
			r.skip = int64(min(length, 1<<62)) + 4
			r.pos += recordHeader
			r.buf = r.buf[:0]
		}
		return
	}
	data, sum := r.buf[recordHeader:len(r.buf)-4], r.buf[len(r.buf)-4:]
	at := r.pos
	r.pos += int64(len(r.buf))
	if err := check(data, sum); err != nil {
		r.problem("record at byte %d is damaged: %v", at, err)
	} else {
		r.emit(data, r.pos)
	}
	r.reset()
}

// reset forgets a record that is there in part.
func (r *records) reset() {
	if cap(r.buf) > 1<<20 {
		r.buf = nil
	}
	r.buf = r.buf[:0]
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of a TFRecord: a CRC of data that holds CRCs itself
// would be weak, so it is rotated and a constant added.
func maskedCRC(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

func check(data, sum []byte) error {
	want, got := binary.LittleEndian.Uint32(sum), maskedCRC(data)
	if want != got {
		return fmt.Errorf("its crc is %08x, and the file says %08x", got, want)
	}
	return nil
}
