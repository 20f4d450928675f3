package main

import (
	"strconv"
	"strings"
	"testing"
)

// A nurse closes the case that waits for her in at most eight presses, from the queue
// to the queue: take, ring, close, what came of it, what she is told, close.
func TestCloseInEightPresses(t *testing.T) {
	url := theDemo(t)
	desk := newBrowser(t).tab()
	desk.signIn(url, "ann@demo.example", demoPassword)
	presses := 0
	press := func(selector, words string) { t.Helper(); desk.click(selector, words); presses++ }
	press("tbody button", "Take")
	desk.reads("Why is this here?")
	press("button[name=result]", "spoke with her")
	desk.reads("Somebody has spoken with her")
	press("a", "Close")
	desk.reads("What came of it?")
	press("label", "Clinic or imaging")
	press("label", "Text her")
	press("main button", "Close")
	desk.reads("Take it back")
	if presses > 8 {
		t.Errorf("it takes %d presses, want 8 at most", presses)
	}
	desk.sound("queue, closed with a way back")
	desk.click("button", "Take it back")
	desk.reads("Held by Ann Price")
	for path, words := range map[string]string{"second-factor": "Switch it on", "password": "Sign out everywhere"} {
		desk.open(url + "/desk/" + path)
		desk.reads(words)
		desk.sound("your " + path)
	}
}

// Two nurses at once: one hands over to the other, each sees what the other does, and
// every page that they meet on the way is sound.
func TestTwoNursesOnTheScreen(t *testing.T) {
	url := theDemo(t)
	b := newBrowser(t)
	ann, bea := b.tab(), b.tab()
	ann.signIn(url, "ann@demo.example", demoPassword)
	bea.signIn(url, "bea@demo.example", demoPassword)
	ann.click("tbody button", "Take")
	ann.reads("Held by Ann Price")
	bea.reads("Ann Price") // her list comes up to date by itself
	js[bool](ann, "(document.querySelectorAll('details').forEach(d=>d.open=true),true)")
	ann.sound("case, everything open")

	// What Ann has begun to write is kept when Bea's taking over makes her page old.
	ann.fill("#note", "she sounds")
	bea.click("tbody a", "Sian Pritchard")
	bea.reads("Take over from Ann Price")
	bea.click("button", "Take over")
	bea.reads("Held by Bea Hughes")
	ann.reads("This case has changed since you opened it")
	ann.sound("case, changed meanwhile")
	ann.click("button", "Save the note")
	ann.reads("Bea Hughes has this one")
	ann.until("document.getElementById('lost').value.includes('she sounds')")
	ann.sound("act refused, words kept")

	bea.open(url + "/desk/hand-over")
	bea.reads("Still yours")
	bea.sound("hand over")
	bea.click("button", "Offer")
	bea.reads("Offered to Ann Price")
	ann.open(url + "/desk/")
	ann.reads("Offered to you")
	ann.sound("queue, offered")
	ann.click("button", "Take it over")
	ann.reads("Held by Ann Price")

	ann.click("button[name=result]", "no answer")
	ann.reads("Rung once")
	js[bool](ann, "(document.getElementById('putoff').closest('details').open=true)")
	ann.fill("#putoff", "ring again")
	ann.click("button", "Put it off")
	ann.reads("Put off until")
	ann.sound("case, put off")
	ann.open(url + "/desk/?show=waiting")
	ann.reads("ring again")
	ann.sound("queue, put off")

	ann.click("tbody a", "Sian Pritchard")
	ann.click("button", "Take")
	ann.reads("Held by Ann Price")
	js[bool](ann, "(document.getElementById('text').closest('details').open=true)")
	ann.fill("#text", "Please come to the clinic on Friday at 10am.")
	ann.click("button", "Check it first")
	ann.reads("She would get:")
	ann.sound("case, a text is checked")
	ann.click("a", "Close")
	ann.reads("Was she referred?")
	ann.click("label", "Urgent suspected cancer, breast") // the outcome
	ann.click("summary", "Was she referred?")
	ann.click("label[for=r2]", "Urgent suspected cancer")
	ann.sound("close, with a route")
	ann.click("main button", "Close")
	ann.reads("Take it back")
	for page, words := range map[string]string{"referrals": "28 days left", "rota": "Would a page reach them?", "call-list": "Call list"} {
		ann.open(url + "/desk/" + page)
		ann.reads(words)
		ann.sound(page)
	}
	ann.open(url + "/desk/referrals")
	ann.click("a", "Record the outcome")
	ann.reads("Cancer was ruled out")
	ann.sound("referral, its outcome")
	ann.open(js[string](ann, "document.querySelector('.nhsuk-back-link').href"))
	for _, sheet := range []string{"My summary", "Letter to the GP", "Card for A&E"} {
		ann.click("a", sheet)
		ann.until("document.querySelector('.desk-sheet h1')?.innerText===" + strconv.Quote(sheet))
		ann.sound("sheet, " + strings.ReplaceAll(sheet, "&", ""))
	}
	bea.open(url + "/desk/labelled")
	bea.reads("None yet")
	bea.sound("read otherwise")
	for page, words := range map[string]string{"reports": "Promises kept", "audit": "Newest first"} {
		bea.open(url + "/desk/" + page)
		bea.reads(words)
		bea.sound(page)
	}
	bea.open(url + "/desk/figures?days=90")
	bea.click("button", "Count them now")
	bea.reads("Rows per 100 check-ins")
	bea.sound("figures")
	bea.open(url + "/desk/pledge")
	bea.fill("#said0", "You took long to ring back.")
	bea.click("button", "Publish")
	bea.reads("is missing")
	bea.sound("pledge, refused")
	bea.fill("#did0", "A second nurse answers on Mondays.")
	bea.click("button", "Publish")
	bea.reads("It is on the public page")
	bea.sound("pledge, published")
	anybody := b.tab()
	anybody.open(url + "/pledge")
	anybody.reads("A second nurse answers on Mondays.")
	anybody.sound("the public pledge")
}

// The desk by single keys, which act only while nobody writes, and not when they are
// switched off on this device.
func TestDeskByKeys(t *testing.T) {
	url := theDemo(t)
	desk := newBrowser(t).tab()
	desk.signIn(url, "ann@demo.example", demoPassword)
	desk.press("/")
	desk.until("document.activeElement.id==='q'")
	js[bool](desk, "(document.getElementById('q').value='',true)") // the key itself, which a driver types without asking
	desk.press("jt")
	if got := js[string](desk, "document.getElementById('q').value"); got != "jt" {
		t.Errorf("keys act while somebody writes: the field has %q", got)
	}
	js[bool](desk, "(document.activeElement.blur(),true)")
	desk.press("j")
	desk.until("document.activeElement.innerText==='Sian Pritchard'")
	desk.press("t")
	desk.reads("Held by Ann Price")
	desk.press("n")
	desk.until("document.activeElement.id==='note'")
	js[bool](desk, "(document.activeElement.blur(),true)")
	desk.press("?")
	desk.click("label[for=keys]", "Single keys")
	js[bool](desk, "(document.activeElement.blur(),true)")
	desk.press("c")
	desk.press("q")
	if at := js[string](desk, "location.pathname"); len(at) < len("/desk/rows/") {
		t.Errorf("keys that are switched off act: now at %s", at)
	}
}
