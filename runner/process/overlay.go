package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// overlay makes a pod's own layer over a cached environment, in milliseconds:
// what the pod installs with pip goes there, before the packages of base, and is
// gone with the pod. So pods that share base can't disturb one another. It is
// written to where, for use at final.
func overlay(base, where, final string) error {
	libs, err := filepath.Glob(filepath.Join(base, "lib", "python*", "site-packages"))
	if err != nil || len(libs) == 0 {
		return fmt.Errorf("layer over the environment %s: it has no site-packages", base)
	}
	rel, err := filepath.Rel(base, libs[0])
	if err != nil {
		return err
	}
	site := filepath.Join(where, rel)
	for _, dir := range []string{site, filepath.Join(where, "bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	// Not a plain path: the packages of base may have .pth files of their own.
	pth := "import site; site.addsitedir(" + strconv.QuoteToASCII(libs[0]) + ")\n"
	if err := os.WriteFile(filepath.Join(site, "_wherry_base.pth"), []byte(pth), 0o644); err != nil {
		return err
	}
	cfg, err := os.ReadFile(filepath.Join(base, "pyvenv.cfg"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(where, "pyvenv.cfg"), cfg, 0o644); err != nil {
		return err
	}
	return overlayPrograms(filepath.Join(base, "bin"), filepath.Join(where, "bin"), filepath.Join(final, "bin"))
}

// overlayPrograms lets the programs of base run with the layer's Python: its
// scripts are copied with another first line, the rest is linked.
func overlayPrograms(base, where, final string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(base, e.Name()), filepath.Join(where, e.Name())
		script, ok := pythonScript(from, base)
		switch {
		case strings.HasPrefix(strings.ToLower(e.Name()), "activate"):
			continue
		case ok:
			err = os.WriteFile(to, redirect(script, base, final), 0o755)
		default:
			err = os.Symlink(from, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pythonScript returns the text of a script that pip made to run with the Python
// of bin. Where paths are long, that is named in the second line.
func pythonScript(path, bin string) ([]byte, bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 64<<10 {
		return nil, false
	}
	text, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(text, []byte("#!")) {
		return nil, false
	}
	head := text[:min(len(text), 1024)]
	return text, bytes.Contains(head, []byte(bin+"/python"))
}

// redirect makes a script of base's Python one of final's. A first line that
// starts Python itself becomes a shell's, which takes long paths and blanks.
func redirect(script []byte, base, final string) []byte {
	first, rest, _ := bytes.Cut(script, []byte("\n"))
	if bytes.HasPrefix(first, []byte("#!"+base+"/python")) {
		head := "#!/bin/sh\n'''exec' \"" + final + "/python\" \"$0\" \"$@\"\n' '''\n"
		return append([]byte(head), rest...)
	}
	return bytes.ReplaceAll(script, []byte(base+"/python"), []byte(final+"/python"))
}
