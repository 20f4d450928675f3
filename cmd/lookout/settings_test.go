package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// loaded loads settings from a file's text and an environment, as serve does.
func loaded(t *testing.T, file string, environ ...string) (*settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lookout.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, _, err := (&serveCmd{Settings: path}).load(&env{environ: environ})
	return s, err
}

const goodSettings = `public_url: https://lookout.example.nhs.uk/
twilio: {account_sid: AC1, auth_token: secret, from: "+447700900001"}
smtp: {address: "smtp.example.nhs.uk:587", from: lookout@example.nhs.uk}
service:
  duty:
    - {name: Ann, phone: 07700 900900, email: ann@example.nhs.uk}
    - {name: Bea, email: bea@example.nhs.uk}
`

// The environment wins over the file, and telephone numbers keep their plus sign.
func TestSettings(t *testing.T) {
	s, err := loaded(t, goodSettings, "LOOKOUT_ADDR=127.0.0.1:9", "LOOKOUT_TWILIO_FROM=+447700900002", "LOOKOUT_SMTP_USER=lookout", "LOOKOUT_SMTP_PASSWORD=secret", "LOOKOUT_TRUSTED_PROXIES=10.0.0.1, 172.30.0.0/16", "HOME=/root")
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr != "127.0.0.1:9" || s.Twilio.From != "+447700900002" || s.Twilio.AccountSID != "AC1" || s.PublicURL != "https://lookout.example.nhs.uk" || s.SMTP.User != "lookout" || !slices.Equal(s.TrustedProxies, []string{"10.0.0.1", "172.30.0.0/16"}) {
		t.Errorf("%+v", s)
	}
}

// Every fault is reported at once, each with its place, and none repeats a secret.
func TestEveryFaultOfTheSettingsAtOnce(t *testing.T) {
	_, err := loaded(t, `addr: here
public_url: lookout.example.nhs.uk
drain: 1m
store: postgres://localhost
api_tokn: marker-secret
api_token: marker-short
twilio: {account_sid: AC1, auth_token: marker-secret, from: "+447700900001", messaging_service_sid: MG1}
smtp: {user: lookout, password: marker-secret}
desk: {second_factor: maybe}
oidc: {issuer: "http://login.example.nhs.uk", client_secret: marker-secret, only: true}
service:
  id: Anytown!
  nation: france
  time_zone: Mars
  hours: {moonday: "09:00-17:00", tuesday: "17:00-09:00"}
  closed: {"29 December": "team day"}
  send_from: "16:00"
  send_until: "10:00"
  page_every: soon
  keep_years: -1
  duty: [{name: Ann}, {phone: "12"}, {name: Bea, email: "bea at home"}, {name: Cat, email: cat@example.nhs.uk}]
`, "LOOKOUT_TWILIO_FORM=+447700900001")
	if err == nil {
		t.Fatal("no fault was found")
	}
	for _, want := range []string{"lookout.yaml:5", "LOOKOUT_TWILIO_FORM", "addr:", "public_url:", "drain:", "store:", "api_token:", "twilio.from:", "smtp.address:", "desk.second_factor:", "oidc.issuer:", "oidc.client_id:", "oidc.local:",
		"service.id:", "service.nation:", "service.time_zone:", `service.hours: "moonday"`, "service.hours.tuesday:", "service.closed:", "service.send_until:",
		"service.page_every:", "service.keep_years:", "service.duty[0]:", "service.duty[1]:", "service.duty[1].phone:", "service.duty[2].email:", "service.duty[3].email:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the faults lack %q", want)
		}
	}
	if strings.Contains(err.Error(), "marker") {
		t.Errorf("a secret is repeated:\n%v", err)
	}
	if t.Failed() {
		t.Log(err)
	}
}

// What is not YAML is one fault, with its line.
func TestSettingsThatAreNoYAML(t *testing.T) {
	if _, err := loaded(t, "addr: [\n"); err == nil || !strings.Contains(err.Error(), "lookout.yaml:") {
		t.Errorf("%v", err)
	}
	if _, err := loaded(t, goodSettings+"addr: 1.2.3.4:1\naddr: 1.2.3.4:2\n"); err == nil || !strings.Contains(err.Error(), "addr") {
		t.Errorf("a setting that is there twice: %v", err)
	}
}
