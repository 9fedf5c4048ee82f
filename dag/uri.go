package dag

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// remoteSchemes are those whose content Artifacts.Fetch brings.
var remoteSchemes = []string{"http", "https", "s3", "minio", "gs", "oci"}

// RemoteSchemes returns the schemes of URIs whose content is fetched.
func RemoteSchemes() []string { return slices.Clone(remoteSchemes) }

// Fetchable reports whether the content of uri can be fetched from elsewhere.
func Fetchable(uri string) bool {
	scheme, _, ok := strings.Cut(uri, "://")
	return ok && slices.Contains(remoteSchemes, strings.ToLower(scheme))
}

// onThisMachine reports whether uri is a path, or a file:// URI.
func onThisMachine(uri string) bool {
	scheme, _, ok := strings.Cut(uri, "://")
	return !ok || strings.EqualFold(scheme, "file")
}

// RecordOnly says to people what an importer makes of a URI that can't be fetched.
func RecordOnly(uri string) string {
	scheme, _, _ := strings.Cut(uri, "://")
	return fmt.Sprintf("%s:// can't be fetched (%s can): the artifact is its URI and metadata, without content", scheme, strings.Join(remoteSchemes, ", "))
}

// artifactPath returns where KFP's own code (Artifact.path of the SDK, and the
// launcher) looks in a container for an artifact with this URI. Of a scheme that it
// does not know, as http, that is the URI itself, taken for a path: relative to the
// working directory.
func artifactPath(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri
	}
	switch scheme {
	case "gs":
		return "/gcs/" + rest
	case "s3", "minio":
		return "/" + scheme + "/" + rest
	case "oci": // a model lies in a folder of its image
		return "/oci/" + strings.ReplaceAll(rest, "/", "_") + "/models"
	}
	return uri
}

// containerPath returns where a container finds an input artifact, absolute.
func (r render) containerPath(a Artifact) string {
	at := artifactPath(a.URI)
	switch {
	case r.run != nil && r.run.Options.Imports != "" && !filepath.IsAbs(a.URI):
		// http and others have no path of their own.
		return path.Join(r.run.Options.Imports, strings.Replace(at, "://", "/", 1))
	case path.IsAbs(at):
		return at
	case !strings.Contains(at, "://") || a.Digest == "":
		return a.URI // nothing is there
	}
	return path.Join(r.workDir(), at)
}

// workDir is the working directory of the task's first container.
func (r render) workDir() string {
	if all := r.node.comp.Pod.Containers; len(all) > 0 && all[0].WorkDir != "" {
		return all[0].WorkDir
	}
	if len(r.node.image) > 0 && r.node.image[0].WorkDir != "" {
		return r.node.image[0].WorkDir
	}
	return "/"
}

// maxName is the longest name of a file, in bytes.
const maxName = 255

// checkPath refuses an artifact whose URI makes no path that could be mounted.
func checkPath(name string, a Artifact, at string) error {
	for part := range strings.SplitSeq(at, "/") {
		if len(part) > maxName {
			return fmt.Errorf("input artifact %q: its URI has a part of %d bytes, and no path in a container can have more than %d: import it by a shorter URI, or download it and import its path", name, len(part), maxName)
		}
	}
	if _, rest, ok := strings.Cut(a.URI, "://"); ok && slices.Contains(strings.Split(rest, "/"), "..") {
		return fmt.Errorf("input artifact %q: its URI has the part \"..\", which leads elsewhere as a path", name)
	}
	return nil
}

// asPaths returns the artifacts as the executor input names them. Host processes see
// no files at /s3/… and the like: their URI is the path at which they are, so that
// the SDK's Artifact.path leads there.
func (r render) asPaths(list []Artifact) []Artifact {
	if r.run.Options.Imports == "" {
		return list
	}
	out := slices.Clone(list)
	for i, a := range out {
		if a.Digest != "" && !filepath.IsAbs(a.URI) {
			out[i].URI = r.inputPath(a)
		}
	}
	return out
}
