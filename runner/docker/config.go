package docker

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"
)

// dockerConfig is what we use of the docker command's config.json.
type dockerConfig struct {
	dir            string
	CurrentContext string                `json:"currentContext"`
	Auths          map[string]authEntry  `json:"auths"`
	CredHelpers    map[string]string     `json:"credHelpers"`
	CredsStore     string                `json:"credsStore"`
	Proxies        map[string]proxyEntry `json:"proxies"`
}

type authEntry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
}

type proxyEntry struct {
	HTTP  string `json:"httpProxy"`
	HTTPS string `json:"httpsProxy"`
	FTP   string `json:"ftpProxy"`
	No    string `json:"noProxy"`
	All   string `json:"allProxy"`
}

// readDockerConfig reads config.json where the docker command looks for it. One
// that is not there is an empty one.
func readDockerConfig(env func(string) string) (*dockerConfig, error) {
	c := &dockerConfig{dir: env("DOCKER_CONFIG")}
	if c.dir == "" {
		c.dir = filepath.Join(env("HOME"), ".docker")
	}
	file := filepath.Join(c.dir, "config.json")
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(data, c)
	}
	if err != nil {
		return c, fmt.Errorf("read Docker's configuration %s: %w", file, err)
	}
	return c, nil
}

// context returns the endpoint of a docker context.
func (c *dockerConfig) context(name string) (endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	file := filepath.Join(c.dir, "contexts", "meta", id, "meta.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return endpoint{}, fmt.Errorf("docker context %q: %w", name, err)
	}
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	if err := json.Unmarshal(data, &meta); err != nil {
		return endpoint{}, fmt.Errorf("docker context %q: %s: %w", name, file, err)
	}
	end := endpoint{
		host: meta.Endpoints["docker"].Host, from: "docker context " + name,
		insecure: meta.Endpoints["docker"].SkipTLSVerify,
	}
	if tls := filepath.Join(c.dir, "contexts", "tls", id, "docker"); isDir(tls) {
		end.certs = tls
	}
	if end.host == "" {
		return endpoint{}, fmt.Errorf("docker context %q: %s names no host", name, file)
	}
	return end, nil
}

// proxyEnv is what the docker command gives to containers and builds: the
// proxies of config.json, each in both spellings.
func (c *dockerConfig) proxyEnv(host string) map[string]string {
	p, ok := c.Proxies[host]
	if !ok {
		p = c.Proxies["default"]
	}
	env := map[string]string{}
	for name, value := range map[string]string{
		"HTTP_PROXY": p.HTTP, "HTTPS_PROXY": p.HTTPS, "FTP_PROXY": p.FTP, "NO_PROXY": p.No, "ALL_PROXY": p.All,
	} {
		if value != "" {
			env[name], env[strings.ToLower(name)] = value, value
		}
	}
	return env
}

// hubKey is how config files call the registry of names without one.
func hubKey(domain string) string { return "https://index." + domain + "/v1/" }

// defaultDomain is the registry of image names that name none.
func defaultDomain() string {
	ref, err := reference.ParseNormalizedNamed("any")
	if err != nil {
		return ""
	}
	return reference.Domain(ref)
}

// auth returns the credentials for an image's registry, encoded for the
// X-Registry-Auth header; empty where there are none.
func (c *dockerConfig) auth(image string) (string, error) {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", nil // the engine says better what is wrong with it
	}
	domain := reference.Domain(ref)
	key := domain
	if domain == defaultDomain() {
		key = hubKey(domain)
	}
	conf, err := c.credentials(key, domain)
	if err != nil || conf == (registry.AuthConfig{}) {
		return "", err
	}
	conf.ServerAddress = key
	return registry.EncodeAuthConfig(conf)
}

func (c *dockerConfig) credentials(key, domain string) (registry.AuthConfig, error) {
	helper := c.CredHelpers[domain]
	if helper == "" {
		helper = c.CredHelpers[key]
	}
	if helper == "" {
		helper = c.CredsStore
	}
	if helper != "" {
		conf, err := askHelper(helper, key)
		if err != nil || conf != (registry.AuthConfig{}) {
			return conf, err
		}
	}
	for _, k := range []string{key, domain, "https://" + domain, "https://" + domain + "/v1/", "https://" + domain + "/v2/"} {
		if a, ok := c.Auths[k]; ok {
			return a.config()
		}
	}
	return registry.AuthConfig{}, nil
}

func (a authEntry) config() (registry.AuthConfig, error) {
	conf := registry.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken}
	if a.Auth == "" {
		return conf, nil
	}
	raw, err := base64.StdEncoding.DecodeString(a.Auth)
	if err != nil {
		return conf, fmt.Errorf("decode credentials in Docker's config.json: %w", err)
	}
	conf.Username, conf.Password, _ = strings.Cut(string(raw), ":")
	conf.Password = strings.TrimRight(conf.Password, "\x00")
	return conf, nil
}

// askHelper asks docker-credential-<helper>, a program that Docker's own tools
// share. One that knows no credentials returns none.
func askHelper(helper, server string) (registry.AuthConfig, error) {
	cmd := exec.Command("docker-credential-"+helper, "get")
	cmd.Stdin = strings.NewReader(server)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		if strings.Contains(out.String(), "not found") { // the protocol's "credentials not found in native keychain"
			return registry.AuthConfig{}, nil
		}
		return registry.AuthConfig{}, fmt.Errorf("ask docker-credential-%s for %s: %w", helper, server, err)
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return registry.AuthConfig{}, fmt.Errorf("read the answer of docker-credential-%s: %w", helper, err)
	}
	if answer.Username == "<token>" {
		return registry.AuthConfig{IdentityToken: answer.Secret}, nil
	}
	return registry.AuthConfig{Username: answer.Username, Password: answer.Secret}, nil
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}
