// What is on the screen: her messages, how things stand, and the form. It knows no
// connection. Every word of hers is put in as text, never as markup.

import type { Answer } from "./outbox";
import type { Line, News, Question } from "./wire";

export type Words = Record<string, string>;

type Props = Record<string, any>;

// make makes an element: properties that are not of the element become attributes.
export function make(name: string, props: Props = {}, ...inside: (Node | string)[]): any {
  const e: any = document.createElement(name);
  for (const [k, v] of Object.entries(props)) {
    if (k in e && k !== "list") e[k] = v;
    else e.setAttribute(k, v);
  }
  e.append(...inside);
  return e;
}

export class View {
  readonly root: HTMLElement;
  readonly form: HTMLFormElement;
  readonly words: HTMLTextAreaElement;
  readonly earlier: HTMLButtonElement;
  readonly photo: HTMLInputElement;
  photos: Blob[] = []; // chosen, and not sent yet
  private chosen: HTMLElement;
  private log: HTMLElement;
  private loud: HTMLElement;
  private state: HTMLElement;
  private promise: HTMLElement;
  private speaker: HTMLElement;
  private question: HTMLElement;
  private writing: HTMLElement;
  private asks: Question[] = []; // of the form that is shown
  private said = ""; // of a turn of hands
  private quiet = 0; // until it is no longer said that a nurse writes
  private holder: string | null = null; // null: not known yet
  private asked = "";
  private lines = new Map<string, HTMLElement>(); // by id, those of hers
  private pending = new Set<HTMLElement>();
  private latest: HTMLElement | null = null; // her last message that is stored
  private filling = true;
  last = 0;
  private read = 0;

  constructor(private w: Words, private lang: string) {
    this.promise = make("p", { className: "promise", hidden: true });
    this.speaker = make("p", { className: "hint", role: "status" });
    this.writing = make("p", { className: "hint writing", role: "status" });
    this.earlier = make("button", { className: "second", type: "button", hidden: true }, w.earlier);
    this.log = make("div", { className: "log", role: "log", "aria-live": "polite", "aria-label": w.log, tabIndex: 0 });
    this.loud = make("div", { className: "quiet", role: "alert" });
    this.state = make("p", { className: "state", role: "status" });
    this.question = make("div");
    this.words = make("textarea", { id: "words", rows: 3, maxLength: 2000 });
    this.photo = make("input", { type: "file", id: "photo", accept: "image/jpeg,image/png,image/webp", multiple: true, "aria-describedby": "photo-hint" });
    this.chosen = make("ul", { className: "chosen" });
    this.form = make("form", {}, this.question, make("label", { htmlFor: "words" }, w.write), this.words,
      make("details", {}, make("summary", {}, w.photo), make("label", { htmlFor: "photo" }, w.photo_choose), make("p", { className: "hint", id: "photo-hint" }, w.photo_hint), this.photo), this.chosen,
      make("button", {}, w.send));
    this.root = make("div", {}, this.promise, this.speaker, this.earlier, this.log, this.writing, this.loud, this.state, this.form);
  }

  say(text: string) { if (this.state.textContent !== text) this.state.textContent = text; }

  // news shows what came, each line once, in the server's order, before what is not sent yet.
  news(n: News) {
    for (const line of n.lines) {
      if (line.seq <= this.last) continue;
      this.last = line.seq;
      const div = this.line(line);
      if (div.dataset.seq === "0") {
        this.pending.delete(div);
        this.mark(div, "");
        div.querySelector("time")!.replaceWith(this.time(line.at)); // the server's word on when
      }
      div.dataset.seq = String(line.seq);
      const next = this.firstPending();
      if (!div.isConnected || (next && div.compareDocumentPosition(next) & Node.DOCUMENT_POSITION_PRECEDING)) this.log.insertBefore(div, next);
      if (line.by === "you") this.newest(div);
      if (line.loud && !this.filling) this.loud.textContent = line.text;
      if (!this.filling) div.scrollIntoView({ block: "nearest" });
    }
    this.read = Math.max(this.read, n.read);
    if (this.latest) this.mark(this.latest, this.w[Number(this.latest.dataset.seq) < this.read ? "read" : "received"]);
    if (n.earlier) this.earlier.hidden = false;
    this.stand(n);
    if (this.filling) this.log.lastElementChild?.scrollIntoView({ block: "nearest" });
    this.filling = false;
  }

  // before puts older lines above the others, and leaves the view where it was.
  before(lines: Line[], more: boolean) {
    const first = this.log.firstElementChild;
    const at = first?.getBoundingClientRect().top || 0;
    this.log.setAttribute("aria-live", "off");
    for (const line of lines) this.log.insertBefore(this.line(line), first);
    this.earlier.hidden = !more;
    if (first) scrollBy(0, first.getBoundingClientRect().top - at);
    this.log.setAttribute("aria-live", "polite");
  }

  get first(): number { return Number((this.log.firstElementChild as HTMLElement)?.dataset.seq || 0); }

  // unsent shows words of hers that the server does not have yet.
  unsent(id: string, text: string, at: number, mark: string, photos = 0) {
    let div = this.lines.get(id);
    if (!div) {
      div = this.line({ seq: 0, id, by: "you", text, at: new Date(at).toISOString(), photos });
      this.pending.add(div);
      this.log.append(div);
      if (!this.filling) div.scrollIntoView({ block: "nearest" });
    }
    if (div.dataset.seq === "0") this.mark(div, mark);
  }

  // refused marks words that the server will not take, and gives them back to be changed.
  refused(id: string, why: string, edit: () => void) {
    const div = this.lines.get(id);
    if (!div) return;
    this.mark(div, this.w.refused + " " + why + ". ");
    const again = make("button", { type: "button" }, this.w.again);
    again.onclick = () => { div.remove(); this.lines.delete(id); this.pending.delete(div); edit(); };
    div.lastElementChild!.append(again);
  }

  // clear leaves nothing of hers on the screen.
  clear(...instead: (Node | string)[]) { this.root.replaceChildren(make("div", { className: "state", role: "status" }, ...instead)); }

  // answer is what the form says: her own words, or what she chose.
  answer(): string {
    const value = (selector: string) => (this.form.querySelector(selector) as HTMLInputElement)?.value.trim() || "";
    return this.words.value.trim() || value("input[name=choice]:checked") || value("#value") || [value("#day"), value("#month"), value("#year")].join(" ").trim();
  }

  // answers are what she answered of the form that is shown.
  answers(): Answer[] {
    const of = (i: number) => {
      const values = [...this.question.querySelectorAll<HTMLInputElement>(`[name="q${i}"]`)].filter((e) => e.type !== "radio" || e.checked).map((e) => e.value.trim());
      return values.filter(Boolean).join(" ");
    };
    return this.asks.map((x, i) => ({ q: x.Name, prompt: x.Prompt, text: of(i) })).filter((a) => a.text);
  }

  // choose shows the photos that go with the next message; each can be taken away again.
  choose(photos: Blob[]) {
    for (const img of this.chosen.querySelectorAll("img")) URL.revokeObjectURL(img.src);
    this.photos = photos;
    this.chosen.replaceChildren(...photos.map((photo, i) => {
      const name = this.w.photo_one + " " + (i + 1);
      const drop = make("button", { type: "button", className: "second" }, this.w.photo_drop, make("span", { className: "quiet" }, " " + name));
      drop.onclick = () => { this.choose(this.photos.filter((_, j) => j !== i)); this.words.focus(); };
      return make("li", {}, make("img", { src: URL.createObjectURL(photo), alt: name }), drop);
    }));
  }

  emptied() {
    this.words.value = "";
    this.choose([]);
    for (const input of this.question.querySelectorAll<HTMLInputElement>("input, textarea")) {
      if (input.type === "radio") input.checked = false;
      else input.value = "";
    }
  }

  private firstPending(): HTMLElement | null {
    for (const div of this.pending) return div;
    return null;
  }

  private newest(div: HTMLElement) {
    if (this.latest && this.latest !== div) this.mark(this.latest, "");
    this.latest = div;
  }

  private line(l: Line): HTMLElement {
    const had = l.id ? this.lines.get(l.id) : null;
    if (had) return had;
    const who = l.by === "you" ? this.w.you : l.by === "nurse" ? l.name + ", " + this.w.nurse : l.by === "other" ? l.name : this.w.lookout;
    const div = make("div", { className: "line" + (l.by === "you" ? " mine" : "") + (l.loud ? " loud" : "") },
      make("p", { className: "who" }, who + ", ", this.time(l.at)), make("p", { className: "text", hidden: !l.text }, l.text), make("p", { className: "sent-photos", hidden: !l.photos }, this.w.photo_sent + " " + (l.photos || "")));
    div.dataset.seq = String(l.seq);
    if (l.id && l.by === "you") this.lines.set(l.id, div);
    return div;
  }

  private time(text: string): HTMLElement {
    const at = new Date(text);
    const today = at.toDateString() === new Date().toDateString();
    return make("time", { dateTime: text }, at.toLocaleString([this.lang, "en-GB"], { hour: "2-digit", minute: "2-digit", ...(today ? {} : { weekday: "short", day: "numeric", month: "short" }) } as any));
  }

  private mark(div: HTMLElement, text: string) {
    let p = div.querySelector(".sent");
    if (!text) return p?.remove();
    if (!p) div.append((p = make("p", { className: "sent" })));
    if (p!.textContent !== text) p!.textContent = text;
  }

  // stand shows how things stand: the promise, who speaks, the question that waits.
  private stand(n: News) {
    this.promise.hidden = !n.promise;
    this.promise.replaceChildren(this.w.promise + " ", make("strong", {}, n.promise || ""), ".");
    const speaker = n.holder ? n.holder + ", " + this.w.nurse + ", " + this.w.holder : this.w.automatic;
    const status = this.w[n.status] && (n.status === "paused" || n.status === "stopped") ? " " + this.w[n.status] : "";
    // That a person takes over, and hands back, is said when it happens.
    const was = this.holder, now = n.holder || "";
    const turned = was === null || was === now ? "" : now ? now + ", " + this.w.nurse + ", " + this.w.taken + " " : was + ", " + this.w.nurse + ", " + this.w.handed_back + " ";
    this.holder = now;
    this.said = turned || (was === now ? this.said : "");
    const text = (this.said && !now ? this.said.trim() : this.said + speaker) + status;
    if (this.speaker.textContent !== text) this.speaker.textContent = text;
    this.writes(n.writing ? n.writing + ", " + this.w.nurse + ", " + this.w.writing : "");
    const asked = JSON.stringify(n.question);
    if (asked === this.asked) return;
    this.asked = asked;
    const focused = this.question.contains((this.root.getRootNode() as ShadowRoot).activeElement);
    this.question.replaceChildren(...this.ask(n.question));
    if (focused) this.words.focus();
  }

  // writes shows that a nurse writes, until she has been silent for a while.
  private writes(who: string) {
    clearTimeout(this.quiet);
    if (this.writing.textContent !== who) this.writing.textContent = who;
    if (who) this.quiet = setTimeout(() => (this.writing.textContent = ""), 10_000);
  }

  private ask(q: Question): Node[] {
    this.asks = q.Questions || [];
    if (q.Kind === "form") return [make("fieldset", { className: "form" }, make("legend", {}, q.Prompt), make("p", { className: "hint" }, this.w.form), ...this.asks.flatMap((x, i) => this.inputs(x, "q" + i)))];
    return this.inputs(q, "");
  }

  // inputs are what a question is answered with: alone, or by a name in a form, where its
  // own words stand over it.
  private inputs(q: Question, name: string): Node[] {
    const w = this.w, id = name && name + "-";
    const radios = (legend: string, className: string, labels: string[]) => [make("fieldset", {}, make("legend", {}, name ? q.Prompt : legend),
      make("div", { className }, ...labels.map((label, i) => make("div", { className: "radio" }, make("input", { type: "radio", name: name || "choice", value: label, id: id + "c" + i }), make("label", { htmlFor: id + "c" + i }, label)))))];
    const field = (field: string, label: string, size: number, mode = "numeric") => make("div", {}, make("label", { htmlFor: id + field }, label), make("input", { id: id + field, name, size, inputMode: mode, autocomplete: "off" }));
    switch (q.Kind) {
      case "choice": return radios(w.choose, "", q.Options || []);
      case "yes_no": return radios(w.choose, "", [w.yes, w.no, w.unsure]);
      case "scale": {
        const to = q.Max || 10;
        return radios(w.scale + " (" + q.Min + ": " + w.scale_low + ", " + to + ": " + w.scale_high + ")", "scale", Array.from({ length: Math.min(to - q.Min + 1, 21) }, (_, i) => String(q.Min + i)));
      }
      case "date": return [make("fieldset", {}, make("legend", {}, name ? q.Prompt : w.date), make("div", { className: "date" }, field("day", w.day, 2), field("month", w.month, 2), field("year", w.year, 4)), ...(name ? [field("ago", w.ago, 12, "text")] : []))];
      case "number": return [field("value", name ? q.Prompt : w.number, 4)];
      case "weight": return [field("value", name ? q.Prompt : w.weight, 6, "decimal")];
      case "text": if (name) return [make("div", {}, make("label", { htmlFor: id + "value" }, q.Prompt), make("textarea", { id: id + "value", name, rows: 2, maxLength: 1000 }))];
    }
    return [];
  }
}
