// <lookout-chat>: on our own page, her messages; on a hospital's page, the same page
// in a frame of ours, where the page around it and its scripts cannot see her words.
//
//   <script src="https://lookout.example.nhs.uk/chat/widget.js" async></script>
//   <lookout-chat></lookout-chat>
//
// It sets nothing global but the element, and breaks no content policy: nothing is
// inline. Without JavaScript our page is a plain form, which stands inside the element.

import css from "../assets/chat.css";
import allWords from "../assets/words.json";
import { Outbox, written, type Unsent } from "./outbox";
import * as notify from "./notify";
import { most, shrink } from "./photo";
import { make, View, type Words } from "./view";
import { Wire, type News, type State } from "./wire";

// LOOKOUT_TEAM is put in when the script is served.
declare const LOOKOUT_TEAM: { service: string; nurseLine: string; chat: string; origins: string[] | null; away: string; push: string };
const team = LOOKOUT_TEAM;

const sheet = new CSSStyleSheet();
sheet.replaceSync(css);

const id = () => (crypto.randomUUID ? crypto.randomUUID() : Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join(""));

class LookoutChat extends HTMLElement {
  private w!: Words;
  private view!: View;
  private box!: Outbox;
  private wire!: Wire;
  private state: State = "cut";
  private sending = false;
  private more = false; // flush was asked for while it ran
  private tabs = "BroadcastChannel" in window ? new BroadcastChannel("lookout-chat") : null;

  connectedCallback() {
    if (this.shadowRoot) return;
    const lang = this.lang.startsWith("cy") ? "cy" : "en-GB";
    this.w = (allWords as Record<string, Words>)[lang];
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    if (location.origin !== new URL(team.chat).origin && !this.hasAttribute("me") && !this.hasAttribute("guest")) {
      root.append(this.embedded(lang));
      return;
    }
    this.leave();
    this.listenToParent();
    if (this.hasAttribute("guest")) {
      history.replaceState(null, "", location.pathname); // the key of a link stays in no history
      root.append(document.createElement("slot"));
      return;
    }
    this.view = new View(this.w, lang);
    this.view.form.hidden = this.getAttribute("carer") === "read";
    root.append(this.view.root);
    this.open();
  }

  private async open() {
    const { view } = this;
    const opening = Outbox.open(this.getAttribute("me")!);
    // At once: she may write before the device's store is open.
    view.form.addEventListener("submit", (e) => { e.preventDefault(); this.send(opening); });
    this.box = await opening;
    if (!this.box.keeps) view.say(this.w.memory);
    const draft = await this.box.draft();
    view.words.value ||= draft; // what she has written meanwhile stays
    view.words.addEventListener("input", () => this.box.keepDraft(view.words.value));
    view.photo.addEventListener("change", () => this.choose());
    view.earlier.addEventListener("click", () => this.older());
    this.wire = new Wire(() => view.last, (n) => this.heard(n), (s) => this.stands(s));
    this.tabs?.addEventListener("message", () => this.flush()); // another tab has kept something
    this.wire.start();
    this.notices();
  }

  // send keeps her words on the device first, and sends them then.
  private async send(opening: Promise<Outbox>) {
    const { view } = this;
    const text = view.answer(), answers = view.answers(), photos = view.photos;
    if (!text && !answers.length && !photos.length) return view.say(this.w.empty);
    const typed = view.words.value.trim() !== "";
    const m: Unsent = { id: id(), me: this.getAttribute("me")!, text, at: Date.now(), photos, answers };
    view.emptied();
    this.show(m);
    if (typed) view.words.focus();
    const box = await opening;
    await box.put(m);
    await box.keepDraft("");
    this.stands(this.state);
    this.tabs?.postMessage("kept");
    this.flush();
  }

  // flush sends what is kept, one after another, in her order. Another tab may do the
  // same at once: the ids are the same, and the server counts each once.
  private async flush() {
    if (this.state === "out" || !this.wire) return;
    if (this.sending) {
      this.more = true;
      return;
    }
    this.sending = true;
    try {
      for (;;) {
        const all = await this.box.list();
        for (const m of all) this.show(m);
        const m = all.find((x) => !x.refused);
        if (!m) return;
        const outcome = await this.wire.say(m);
        if (outcome === "stored") {
          await this.box.drop(m.id);
          this.view.unsent(m.id, written(m), m.at, this.w.received, m.photos?.length);
        } else if (outcome === "later") {
          await new Promise((go) => setTimeout(go, 2000 + 2000 * Math.random()));
        } else if (typeof outcome === "object") {
          await this.box.put({ ...m, refused: this.w[outcome.refused] || outcome.refused || "?" });
        } else {
          return; // cut: it begins again with the connection
        }
      }
    } finally {
      this.sending = false;
      // The connection may have come while the last try found none.
      if (this.more) setTimeout(() => this.flush());
      this.more = false;
    }
  }

  private late() { return this.w.late + " " + team.nurseLine + " " + this.w.late_end; }

  private show(m: Unsent) {
    this.view.unsent(m.id, written(m), m.at, this.state === "cut" ? this.late() : this.w.sending, m.photos?.length);
    if (m.refused) this.view.refused(m.id, m.refused, () => {
      this.box.drop(m.id);
      this.view.words.value = written(m);
      this.view.choose(m.photos || []);
      this.view.words.focus();
    });
  }

  // notices offers to tell her of new messages on this device, where that can be.
  private async notices() {
    const { view, w } = this;
    if (!team.push || !notify.able() || this.hasAttribute("carer")) return;
    let on = await notify.on();
    const button = make("button", { className: "second", type: "button", "aria-describedby": "push-hint" });
    const hint = make("p", { className: "hint", id: "push-hint" }, w.push_hint);
    const show = () => (button.textContent = on ? w.push_off : w.push_on);
    button.onclick = async () => {
      button.disabled = true;
      if (on) await notify.stop();
      on = !on && (await notify.start(team.push, this.lang));
      hint.textContent = on || button.textContent === w.push_off ? w.push_hint : w.push_no;
      button.disabled = false;
      show();
      button.focus();
    };
    show();
    view.root.append(make("div", {}, button, hint));
  }

  // choose makes what she has chosen small, at once, so that what waits on the device is
  // small too, and says where she was.
  private async choose() {
    const { view, w } = this;
    const files = [...(view.photo.files || [])];
    view.photo.value = "";
    const small = await Promise.all(files.map(shrink));
    const photos = [...view.photos, ...small.filter((x): x is Blob => x !== null)];
    view.choose(photos.slice(0, most));
    view.say(photos.length > most ? w.photo_many : small.includes(null) ? w.photo_type : "");
  }

  private async heard(n: News) {
    this.view.news(n);
    for (const line of n.lines) if (line.id) await this.box.drop(line.id);
  }

  private async stands(s: State) {
    const was = this.state;
    this.state = s;
    if (s === "out") {
      this.view.clear(this.w.signed_out + " ", make("a", { href: "/chat" }, this.w.open_again));
      return;
    }
    for (const m of await this.box.list()) if (this.state === s) this.show(m);
    if (s === "cut") this.view.say((await this.box.list()).length || !navigator.onLine ? this.w.offline : "");
    else this.view.say(s === "slow" ? this.w.slow : this.box.keeps ? "" : this.w.memory);
    if (s !== "cut" && was !== s) this.flush();
  }

  private async older() {
    const answer = await fetch("/chat/earlier?before=" + this.view.first, { headers: { Accept: "application/json" } });
    if (answer.ok) {
      const n: News = await answer.json();
      this.view.before(n.lines, !!n.earlier);
    }
  }

  // leave takes her away at once, and leaves nothing to come back to.
  private leave() {
    for (const form of document.querySelectorAll<HTMLFormElement>("form.leave")) {
      form.addEventListener("submit", (e) => {
        e.preventDefault();
        document.body.hidden = true;
        const away = () => (window.top || window).location.replace(team.away);
        fetch(form.action, { method: "POST", redirect: "manual", keepalive: true }).then(away, away);
      });
    }
  }

  // listenToParent takes colours, and a voucher, from a hospital's page that is on the list.
  private listenToParent() {
    if (parent === window) return;
    addEventListener("message", async (e) => {
      if (e.source !== parent || !team.origins?.includes(e.origin) || e.data?.lookout !== "host") return;
      for (const name of ["--lookout-colour", "--lookout-on-colour"]) {
        const value = String(e.data.theme?.[name] || "");
        if (value && CSS.supports("color", value)) document.documentElement.style.setProperty(name, value);
      }
      if (e.data.voucher && this.hasAttribute("guest")) {
        const answer = await fetch("/chat/vouch", { method: "POST", body: new URLSearchParams({ voucher: String(e.data.voucher) }) });
        if (answer.ok) location.reload();
      }
    });
    parent.postMessage({ lookout: "ready" }, "*"); // says nothing of her
  }

  // embedded is the element on a hospital's page.
  private embedded(lang: string): HTMLElement {
    const w = this.w, chat = new URL(team.chat);
    const fill = (s: string) => s.replace("{service}", team.service).replace("{nurseLine}", team.nurseLine);
    const box = make("section", { lang, className: "embedded", "aria-labelledby": "title" }, make("h2", { id: "title" }, w.embed_title),
      make("p", { className: "danger" }, w.watch + " ", make("a", { href: "tel:999" }, "999"), " " + w.watch_end + " " + team.nurseLine + "."),
      make("p", {}, fill(w.embed_lead)),
      make("p", {}, make("a", { className: "button open", href: team.chat, target: "_blank", rel: "noopener noreferrer" }, w.embed_open)));
    if (team.origins?.includes(location.origin)) {
      const frame = make("iframe", { src: team.chat, title: w.embed_title, referrerPolicy: "no-referrer" });
      addEventListener("message", (e) => {
        if (e.source !== frame.contentWindow || e.origin !== chat.origin || e.data?.lookout !== "ready") return;
        const style = getComputedStyle(this), theme: Record<string, string> = {};
        for (const name of ["--lookout-colour", "--lookout-on-colour"]) theme[name] = style.getPropertyValue(name).trim();
        frame.contentWindow.postMessage({ lookout: "host", theme, voucher: this.getAttribute("voucher") }, chat.origin);
      });
      box.append(frame);
    }
    return box;
  }
}

if (!customElements.get("lookout-chat")) customElements.define("lookout-chat", LookoutChat);
