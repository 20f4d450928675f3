package redisstore

import "syscall"

// What pauses a process, and what lets it go on.
const (
	stopSignal = syscall.SIGSTOP
	goOnSignal = syscall.SIGCONT
)
