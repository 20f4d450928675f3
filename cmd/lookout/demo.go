package main

import "errors"

type demoCmd struct{}

// Run runs the demo.
func (c *demoCmd) Run(e *env) error { return errors.New("the demo is not in this build yet") }
