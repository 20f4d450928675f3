//go:build !torture

package main

import "time"

// wallClock is the time by which the process goes.
func wallClock() func() time.Time { return time.Now }
