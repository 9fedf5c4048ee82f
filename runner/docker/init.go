package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
)

// initPath is where a holder finds its init.
const initPath = "/.wherry-init"

// The holder's init: it blocks SIGINT and SIGTERM, waits for one of them, and
// exits with 0. A static program of a few dozen bytes runs in any image, also
// in one without a shell, and without a network. signalSet holds bits 1
// (SIGINT) and 14 (SIGTERM).
const signalSet = 1<<1 | 1<<14

// initAMD64 is
//
//	push  signalSet         ; the set, 8 bytes on the stack
//	mov   rsi, rsp
//	xor   edi, edi          ; SIG_BLOCK
//	xor   edx, edx
//	mov   r10d, 8           ; size of the set
//	mov   eax, 14           ; rt_sigprocmask
//	syscall
//	wait:
//	mov   rdi, rsp
//	xor   esi, esi
//	xor   edx, edx
//	mov   r10d, 8
//	mov   eax, 128          ; rt_sigtimedwait
//	syscall
//	test  eax, eax
//	jle   wait
//	xor   edi, edi
//	mov   eax, 231          ; exit_group
//	syscall
func initAMD64() []byte {
	return []byte{
		0x68, signalSet & 0xff, signalSet >> 8, 0, 0,
		0x48, 0x89, 0xe6,
		0x31, 0xff,
		0x31, 0xd2,
		0x41, 0xba, 8, 0, 0, 0,
		0xb8, 14, 0, 0, 0,
		0x0f, 0x05,
		0x48, 0x89, 0xe7,
		0x31, 0xf6,
		0x31, 0xd2,
		0x41, 0xba, 8, 0, 0, 0,
		0xb8, 128, 0, 0, 0,
		0x0f, 0x05,
		0x85, 0xc0,
		0x7e, 0xe8, // to wait: 24 bytes back
		0x31, 0xff,
		0xb8, 231, 0, 0, 0,
		0x0f, 0x05,
	}
}

// initARM64 is the same for arm64.
func initARM64() []byte {
	movz := func(reg, imm uint32) uint32 { return 0xd2800000 | imm<<5 | reg }
	const svc, x2, x3, x8 = 0xd4000001, 2, 3, 8
	code := []uint32{
		movz(9, signalSet),
		0xf81f0fe9, // str x9, [sp, #-16]!
		movz(0, 0), // SIG_BLOCK
		0x910003e1, // mov x1, sp
		movz(x2, 0),
		movz(x3, 8),
		movz(x8, 135), // rt_sigprocmask
		svc,
		0x910003e0, // wait: mov x0, sp
		movz(1, 0),
		movz(x2, 0),
		movz(x3, 8),
		movz(x8, 137), // rt_sigtimedwait
		svc,
		0xf100001f, // cmp x0, #0
		0x54ffff2d, // b.le wait: 7 instructions back
		movz(0, 0),
		movz(x8, 94), // exit_group
		svc,
	}
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, code)
	return b.Bytes()
}

// initProgram is the init as an ELF executable for an engine's architecture, as
// Docker names it.
func initProgram(arch string) ([]byte, error) {
	switch arch {
	case "amd64", "x86_64":
		return elf(62, initAMD64()), nil
	case "arm64", "aarch64":
		return elf(183, initARM64()), nil
	}
	return nil, unsupported("containers", "pods of several containers need linux/amd64 or linux/arm64, not %q", arch)
}

// elf wraps code in the smallest regular executable: one header, one segment.
func elf(machine uint16, code []byte) []byte {
	const base, headers = 0x400000, 64 + 56
	size := uint64(headers + len(code))
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, v := range []any{
		uint16(2), machine, uint32(1), // executable, of version 1
		uint64(base + headers), uint64(64), uint64(0), // entry, program headers, no section headers
		uint32(0), uint16(64), uint16(56), uint16(1), uint16(64), uint16(0), uint16(0),
		uint32(1), uint32(5), // a loaded segment, read and execute
		uint64(0), uint64(base), uint64(base), size, size, uint64(0x10000),
	} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.Write(code)
	return b.Bytes()
}

// putInit brings the init into a holder that has not started.
func (e *engine) putInit(ctx context.Context, id, platformArch string) error {
	if platformArch == "" {
		info, err := e.about(ctx)
		if err != nil {
			return err
		}
		platformArch = info.Architecture
	}
	program, err := initProgram(platformArch)
	if err != nil {
		return err
	}
	err = e.putArchive(ctx, id, func(w *tar.Writer) error {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: initPath[1:], Mode: 0o755, Size: int64(len(program))}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(program)
		return err
	})
	if err != nil {
		return fmt.Errorf("holder: %w", err)
	}
	return nil
}
