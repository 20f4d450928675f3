package bot

import "errors"

// The codes. Every error that a door must tell apart wraps one of these; the
// doors map them to their own language once, at the edge.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("changed meanwhile")
	ErrDuplicate   = errors.New("done before")
	ErrInvalid     = errors.New("invalid")
	ErrRefused     = errors.New("refused")
	ErrUnavailable = errors.New("unavailable")
)
