// Package redact takes credentials out of what is stored or shown.
//
//	https://user:token@host/simple?sig=1 ── URL  ─> https://host/simple    of one URL, for people
//	                                     ── Text ─> https://host/simple?sig=1    in any text, also to be stored
//	                                     ── Key  ─> https://user@host/simple?sig=1    in a cache key: the user still counts
//
// It knows the shape of a URL and nothing else: what is secret by its place alone (a
// bare token, a query) stays where it is in Text and Key.
package redact
