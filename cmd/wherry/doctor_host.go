package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/artifact"
)

// checkHome tries in WHERRY_HOME what wherry does there, and reports whether it
// can be written to.
func (d *diagnosis) checkHome() bool {
	home := d.g.Home
	elsewhere := "sudo chown -R " + userName() + " " + shellQuote(home) + ", or set WHERRY_HOME to a folder of yours"
	if err := os.MkdirAll(home, 0o755); err != nil {
		d.add("permissions", findingFail, elsewhere, "WHERRY_HOME %s can't be made: %v", home, pathCause(err))
		return false
	}
	dir, err := os.MkdirTemp(home, ".wherry-doctor-*")
	if err != nil {
		d.add("permissions", findingFail, elsewhere, "WHERRY_HOME %s can't be written to: %v", home, pathCause(err))
		return false
	}
	defer os.RemoveAll(dir)
	if err := tryLock(dir); err != nil {
		d.add("permissions", findingFail, "set WHERRY_HOME to a folder on a local disk", "files in WHERRY_HOME %s can't be locked: %v", home, err)
		return false
	}
	if kind := networkFileSystem(home); kind != "" {
		d.add("permissions", findingWarn, "set WHERRY_HOME to a folder on a local disk",
			"WHERRY_HOME %s is on a network file system (%s), where a database can be damaged", home, kind)
		return true
	}
	if other := foreign(home); other != "" {
		d.add("permissions", findingWarn, "sudo chown -R "+userName()+" "+shellQuote(home), "%s belongs to somebody else, so wherry may not be able to change it", other)
		return true
	}
	if err := tryLinks(dir); err != nil {
		d.add("permissions", findingWarn, "set WHERRY_HOME to a folder on a file system that has them",
			"WHERRY_HOME %s has no hard links, so every artifact is copied: %v", home, pathCause(err))
		return true
	}
	d.add("permissions", findingOK, "", "WHERRY_HOME %s is yours", home)
	return true
}

func tryLock(dir string) error {
	f, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

func tryLinks(dir string) error {
	return errors.Join(os.Link(filepath.Join(dir, "lock"), filepath.Join(dir, "link")), os.Symlink("lock", filepath.Join(dir, "symlink")))
}

// foreign returns something directly in dir that is not this user's, or "".
func foreign(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil || os.Geteuid() == 0 {
		return ""
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
			return filepath.Join(dir, e.Name())
		}
	}
	return ""
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprint(os.Getuid())
}

// checkDisk looks at the room for artifacts.
func (d *diagnosis) checkDisk() {
	at := d.g.Home
	for {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		at = filepath.Dir(at)
	}
	free, files, err := artifact.Room(at)
	mend := "make room on the disk of " + at + ", or set WHERRY_HOME to a folder on a larger one"
	text := fmt.Sprintf("%.1f GiB free at %s", float64(free)/(1<<30), at)
	switch {
	case err != nil:
		d.add("disk", findingWarn, "", "how much room there is at %s is not known: %v", at, err)
	case files == 0:
		d.add("disk", findingFail, mend, "the file system of %s can't hold another file (no free inodes)", at)
	case free < 256<<20:
		d.add("disk", findingFail, mend, "%s", text)
	case free < 5<<30 || files >= 0 && files < 50_000:
		d.add("disk", findingWarn, mend, "%s: little for models and data", text)
	default:
		d.add("disk", findingOK, "", "%s", text)
	}
}

// proxyNames are the variables by which programs are told of proxies.
var proxyNames = []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"}

// checkProxies compares the proxies of this shell with those that the engine's
// configuration gives to containers.
func (d *diagnosis) checkProxies() {
	var here []string
	for _, name := range proxyNames {
		if value := d.g.Getenv(name); value != "" {
			here = append(here, name+"="+withoutPassword(value))
		}
	}
	config, given := d.dockerProxies()
	local := slices.ContainsFunc(given, isLoopback)
	const example = `{"proxies": {"default": {"httpProxy": "http://HOST:PORT", "httpsProxy": "http://HOST:PORT", "noProxy": "localhost,127.0.0.1"}}}`
	switch {
	case d.backend != "docker" && len(here) == 0:
		d.add("proxies", findingOK, "", "none")
	case d.backend != "docker":
		d.add("proxies", findingOK, "", "%s", strings.Join(here, " "))
	case local:
		d.add("proxies", findingWarn, "name the proxy in "+config+" by an address that containers reach, such as the host's on the docker0 bridge",
			"%s gives containers a proxy on localhost, which in a container is the container itself", config)
	case len(given) > 0:
		d.add("proxies", findingOK, "", "containers get those of %s", config)
	case len(here) > 0:
		d.add("proxies", findingWarn, "write into "+config+": "+example, "%s is set here, but containers and image builds get no proxy", strings.Join(here, " "))
	default:
		d.add("proxies", findingOK, "", "none")
	}
}

// dockerProxies returns the proxies in Docker's configuration, and its path.
func (d *diagnosis) dockerProxies() (string, []string) {
	dir := d.g.Getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(d.g.Getenv("HOME"), ".docker")
	}
	file := filepath.Join(dir, "config.json")
	var config struct {
		Proxies map[string]struct{ HTTPProxy, HTTPSProxy, AllProxy string }
	}
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &config) != nil {
		return file, nil
	}
	var found []string
	for _, p := range config.Proxies {
		for _, value := range []string{p.HTTPProxy, p.HTTPSProxy, p.AllProxy} {
			if value != "" {
				found = append(found, value)
			}
		}
	}
	return file, found
}

// isLoopback reports whether a proxy is on this machine's loopback.
func isLoopback(proxy string) bool {
	if !strings.Contains(proxy, "://") {
		proxy = "http://" + proxy
	}
	u, err := url.Parse(proxy)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func withoutPassword(proxy string) string {
	u, err := url.Parse(proxy)
	if err != nil || u.Host == "" && strings.Contains(proxy, "@") {
		return "(hidden)"
	}
	return u.Redacted()
}
