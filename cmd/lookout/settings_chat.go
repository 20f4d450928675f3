package main

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
)

// chatSettings are those of the web chat.
type chatSettings struct {
	Origins      []string `yaml:"origins"`
	VouchKey     string   `yaml:"vouch_key"`
	PushContact  string   `yaml:"push_contact"`  // "": no web push
	PushServices []string `yaml:"push_services"` // beside those of the browsers
}

func (c *chatSettings) check() error {
	var faults []error
	for _, text := range c.Origins {
		u, err := url.Parse(text)
		local := err == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1")
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != text || (u.Scheme != "https" && !(u.Scheme == "http" && local)) {
			faults = append(faults, fmt.Errorf("chat.origins: %q is not an origin like https://www.anytown.nhs.uk: https, a host, and nothing behind it", text))
		}
	}
	if c.VouchKey != "" && len(c.VouchKey) < 32 {
		faults = append(faults, errors.New("chat.vouch_key: must have at least 32 characters, made by a machine: openssl rand -base64 32"))
	}
	if c.PushContact != "" && !strings.HasPrefix(c.PushContact, "https://") {
		if _, err := mail.ParseAddress(c.PushContact); err != nil || strings.ContainsAny(c.PushContact, " <:") {
			faults = append(faults, errors.New("chat.push_contact: must be an e-mail address like it@anytown.nhs.uk, or a page that begins with https://, by which a push service reaches who runs lookout"))
		}
	}
	if len(c.PushServices) > 0 && c.PushContact == "" {
		faults = append(faults, errors.New("chat.push_services: is for web push, and chat.push_contact is not set"))
	}
	for _, host := range c.PushServices {
		if u, err := url.Parse("https://" + host); err != nil || u.Host != host || host == "" {
			faults = append(faults, fmt.Errorf("chat.push_services: %q is not a host like push.example.org", host))
		}
	}
	return errors.Join(faults...)
}
