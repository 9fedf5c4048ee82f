package redact

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
)

// URL returns uri without its user information, query and fragment, for people. What
// has no scheme is a path, and stays.
func URL(uri string) string {
	if !strings.Contains(uri, "://") {
		return uri
	}
	u, err := url.Parse(Text(uri))
	if err != nil {
		before, _, _ := strings.Cut(Text(uri), "?")
		return before
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	return u.String()
}

// userinfo is the user information of a URL in a text; its scheme is before it.
var userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\s'"<>]*)@`)

// Text returns text with each URL in it without its user information. The user of
// ssh stays: it is part of the address.
func Text(text string) string {
	return replace(text, func(scheme, user string) string {
		if isSSH(scheme) {
			return user
		}
		return ""
	})
}

// Key is Text for what must tell users apart: passwords go, users stay; one long
// enough to be a token is its digest.
func Key(text string) string {
	return replace(text, func(_, user string) string {
		if len(user) < 16 {
			return user
		}
		sum := sha256.Sum256([]byte(user))
		return hex.EncodeToString(sum[:6])
	})
}

// replace puts keep's answer in the place of each user, and nothing in that of its
// password.
func replace(text string, keep func(scheme, user string) string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return userinfo.ReplaceAllStringFunc(text, func(found string) string {
		m := userinfo.FindStringSubmatch(found)
		user, _, _ := strings.Cut(m[2], ":")
		if user = keep(m[1], user); user != "" {
			user += "@"
		}
		return m[1] + "://" + user
	})
}

func isSSH(scheme string) bool {
	return scheme == "ssh" || strings.HasSuffix(scheme, "+ssh")
}
