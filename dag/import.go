package dag

import (
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/redact"
)

// importArtifact brings an importer's artifact into the store.
func (d *drive) importArtifact(n *node) {
	spec := n.comp.Importer
	uri := ""
	switch {
	case spec.URI.Constant != nil:
		uri = FormatValue(spec.URI.Constant.Value)
	case spec.URI.Input != "":
		uri = FormatValue(n.exec.Inputs.Parameters[spec.URI.Input])
	}
	metadata, err := render{run: d.run, node: n}.metadata()
	if err != nil {
		d.failWith(n, err)
		return
	}
	if spec.Workspace && d.run.Options.Workspace == "" { // else it is not where KFP's code would look
		metadata[workspaceMark] = true
	}
	from := localPath(uri, d.run.Pipeline.File)
	a := Artifact{URI: redact.Text(from), Type: spec.Type.Title, Version: spec.Type.Version, Metadata: metadata}
	n.exec.State = Running
	n.exec.Started = time.Now()
	n.exec.Reason = "import " + redact.URL(a.URI)
	n.phase = phaseLive
	anew := d.steering.anew(n)
	d.change(n)
	d.after(func() {
		d.spawn(func() func() {
			got, reason, err := d.bringIn(n.exec.Path, from, a, spec.Reimport || anew != "")
			reason = orElse(anew, reason)
			return func() { d.imported(n, got, reason, err) }
		})
	})
}

func (d *drive) imported(n *node, a Artifact, reason string, err error) {
	if n.exec.State.Ended() {
		return
	}
	if err != nil {
		d.failWith(n, err)
		return
	}
	if !Fetchable(a.URI) && !onThisMachine(a.URI) {
		d.noteOnce(n.exec.Path + ": " + RecordOnly(a.URI))
	}
	n.exec.Reason = reason
	n.exec.Outputs = Values{Parameters: map[string]any{}, Artifacts: map[string][]Artifact{}}
	for name := range n.comp.Outputs.Artifacts {
		if a.ID == 0 {
			a.Name = name
		}
		n.exec.Outputs.Artifacts[name] = []Artifact{a}
	}
	d.end(n, Succeeded, "")
}

// bringIn returns a with its content. As on a cluster, without reimport an artifact
// with the same URI, type and metadata that is known already is that same artifact.
// What is on this machine is always looked at. What is elsewhere is fetched once,
// and again only with reimport or --no-cache: so a run needs no network for it. A URI
// that can't be fetched is a record without content. a's URI is on record: that is
// from without a password. bringIn runs beside the loop.
func (d *drive) bringIn(task, from string, a Artifact, reimport bool) (Artifact, string, error) {
	earlier, err := d.Store.ArtifactsAt(d.ops, a.URI)
	if err != nil {
		return a, "", err
	}
	reason := "files of this machine are always looked at"
	switch {
	case onThisMachine(a.URI):
		a.Digest, a.Size, err = d.importLocal(a.URI)
	case !Fetchable(a.URI):
		reason = "nothing to fetch: a record of its URI"
	default:
		reason, err = d.fetch(task, from, &a, earlier, reimport)
	}
	if err != nil {
		return a, "", err
	}
	for _, e := range earlier {
		if !reimport && e.Digest == a.Digest && e.Type == a.Type && e.Version == a.Version && reflect.DeepEqual(e.Metadata, a.Metadata) {
			return e, reason, nil
		}
	}
	return a, reason, nil
}

// importLocal stores a file or directory of this machine. What is or lies in an
// artifact that a step made is found by the database: its path may not be there yet.
func (d *drive) importLocal(uri string) (digest string, size int64, err error) {
	runs := filepath.Join(d.Home, "runs") + "/"
	for at := filepath.Clean(uri); strings.HasPrefix(at, runs); at = filepath.Dir(at) {
		known, err := d.Store.ArtifactsAt(d.ops, at)
		if err != nil {
			return "", 0, err
		}
		for _, a := range known {
			object, err := d.Artifacts.Path(a.Digest)
			if a.Digest == "" || err != nil {
				continue
			}
			if at == filepath.Clean(uri) {
				return a.Digest, a.Size, nil
			}
			return d.Artifacts.Import(d.ops, filepath.Join(object, strings.TrimPrefix(filepath.Clean(uri), at)))
		}
	}
	return d.Artifacts.Import(d.ops, uri)
}

// fetch fills in the content of an artifact that is elsewhere.
func (d *drive) fetch(task, from string, a *Artifact, earlier []Artifact, reimport bool) (reason string, err error) {
	reason = "imported for the first time"
	for _, e := range earlier {
		if e.Digest == "" {
			continue
		}
		if gone := d.Artifacts.Check(d.ops, e.Digest); gone != nil {
			d.post(func() { d.noteDamage(gone) })
			reason = "what was imported before is gone from the artifact store"
			continue
		}
		if !reimport && d.run.Options.Cache != CacheOff {
			a.Digest, a.Size = e.Digest, e.Size
			return "imported before; it is fetched again with reimport, or --no-cache", nil
		}
		reason = "reimport: it is fetched every time"
		if !reimport {
			reason = "caching is off (--no-cache)"
		}
		break
	}
	started := time.Now()
	said := started
	a.Digest, a.Size, err = d.Artifacts.Fetch(d.ops, from, func(done, total int64) {
		pause := fetchNote
		if said == started {
			pause = fetchFirstNote
		}
		if time.Since(said) < pause {
			return
		}
		said = time.Now()
		of := ""
		if total > 0 {
			of = " of " + FormatBytes(total)
		}
		d.post(func() { d.note("%s: fetched %s%s", task, FormatBytes(done), of) })
	})
	if err == nil && said != started {
		took := time.Since(started)
		d.post(func() { d.note("%s: fetched %s in %.0f s", task, FormatBytes(a.Size), took.Seconds()) })
	}
	return reason, err
}

// How long a fetch goes on before it says how far it is, and how often it does then.
const (
	fetchFirstNote = 2 * time.Second
	fetchNote      = 10 * time.Second
)

// localPath returns the path of a local URI; a relative one is relative to the
// pipeline's file. What it does not know stays.
func localPath(uri, file string) string {
	u, err := url.Parse(uri)
	switch {
	case err == nil && u.Scheme == "file" && (u.Host == "" || u.Host == "localhost") && u.Path != "":
		return filepath.Clean(u.Path)
	case uri == "" || strings.Contains(uri, "://") || filepath.IsAbs(uri):
		return uri
	}
	return filepath.Join(filepath.Dir(file), uri)
}
