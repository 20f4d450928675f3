package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"lookout/channels/desk"
	"lookout/channels/email"
)

// deskSettings are those of the desk.
type deskSettings struct {
	SecondFactor string `yaml:"second_factor"` // required, or optional
}

// oidcSettings are the hospital's own sign-in.
type oidcSettings struct {
	Issuer       string   `yaml:"issuer"`
	ClientID     string   `yaml:"client_id"`
	ClientSecret string   `yaml:"client_secret"`
	Name         string   `yaml:"name"`
	TrustEmails  bool     `yaml:"trust_emails"`
	Strong       []string `yaml:"strong_acr"`
	Only         bool     `yaml:"only"`
	Local        []string `yaml:"local"`
}

func (s *deskSettings) check() error {
	if !slices.Contains([]string{"", "optional", "required"}, s.SecondFactor) {
		return errors.New("desk.second_factor: must be required or optional")
	}
	return nil
}

func (s *oidcSettings) check() error {
	if s.Issuer == "" {
		if s.ClientID != "" || s.ClientSecret != "" || s.Name != "" || s.Only || s.TrustEmails || len(s.Local)+len(s.Strong) > 0 {
			return errors.New("oidc.issuer: is missing, though other settings of oidc are there: write it like https://login.example.nhs.uk")
		}
		return nil
	}
	var faults []error
	u, err := url.Parse(s.Issuer)
	local := err == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1")
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Scheme != "https" && !(u.Scheme == "http" && local) {
		faults = append(faults, errors.New("oidc.issuer: must be an address like https://login.example.nhs.uk, exactly as the provider writes it"))
	}
	if s.ClientID == "" {
		faults = append(faults, errors.New("oidc.client_id: is missing: whoever runs the provider gives it to you"))
	}
	if s.Only && len(s.Local) == 0 {
		faults = append(faults, errors.New("oidc.local: name at least one account that can still sign in when the provider does not answer, like a lead's"))
	}
	for _, address := range s.Local {
		if !email.ParseAddress(address) {
			faults = append(faults, fmt.Errorf("oidc.local: %q is not an e-mail address like bea@example.nhs.uk", address))
		}
	}
	return errors.Join(faults...)
}

// provider is the hospital's own sign-in; nil where there is none.
func (s *oidcSettings) provider() *desk.Provider {
	if s.Issuer == "" {
		return nil
	}
	name := s.Name
	if name == "" {
		name = "your hospital account"
	}
	return &desk.Provider{Issuer: strings.TrimSpace(s.Issuer), ClientID: s.ClientID, ClientSecret: s.ClientSecret, Name: name, TrustEmails: s.TrustEmails, Strong: s.Strong, Only: s.Only, Local: s.Local}
}
