// The connection: a socket; where sockets are blocked, requests that wait. It comes
// back by itself, each time later and never in step with others, and says what state
// it is in. What comes over it may come twice: whoever hears it must not mind.

import type { Unsent } from "./outbox";

export type Question = { Kind: string; Name: string; Prompt: string; Questions: Question[] | null; Options: string[] | null; Min: number; Max: number };
export type Line = { seq: number; id?: string; by: string; name?: string; text: string; at: string; loud?: boolean; photos?: number };
export type News = { type: "news"; lines: Line[]; earlier?: boolean; read: number; promise?: string; holder?: string; writing?: string; writing_until?: number; status: string; question: Question };
type Reply = { type: "stored" | "refused" | "later" | "out"; id: string; why?: string };

export type State = "live" | "slow" | "cut" | "out";
export type Outcome = "stored" | "later" | "cut" | "out" | { refused: string };

const patience = 10_000; // ms until an answer is given up, and with it the connection
const photoPatience = 90_000; // the same, of photos on a slow network

// The server's codes for closing (socket.go).
const signedOut = 4401, tooMany = 4409, restart = 1012;

export class Wire {
  private socket: WebSocket | null = null;
  private polling: AbortController | null = null;
  private again = 0;
  private wait = 500;
  private failed = 0; // sockets in a row that never opened
  private waiting = new Map<string, (o: Outcome) => void>();
  private over = false;

  constructor(private last: () => number, private heard: (n: News) => void, private told: (s: State) => void) {}

  start() {
    if (!this.over) this.connect();
    addEventListener("online", () => this.wake());
    addEventListener("pageshow", (e) => e.persisted && this.wake());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.wake());
  }

  // wake looks whether the connection lives: after sleep it may be dead and not know it.
  wake() {
    if (this.over) return;
    this.wait = 500;
    if (this.socket?.readyState === WebSocket.OPEN) {
      const socket = this.socket;
      const dead = setTimeout(() => socket.close(), patience / 2);
      socket.addEventListener("message", () => clearTimeout(dead), { once: true });
      this.hello();
    } else if (this.socket?.readyState !== WebSocket.CONNECTING) {
      this.connect();
    }
  }

  // say sends one message, and resolves with what became of it.
  async say(m: Unsent): Promise<Outcome> {
    if (this.over) return "out";
    if (m.photos?.length) return this.socket?.readyState === WebSocket.OPEN || this.polling ? this.post(m) : "cut";
    if (this.socket?.readyState === WebSocket.OPEN) {
      const socket = this.socket;
      return new Promise((done) => {
        const late = setTimeout(() => { done("cut"); socket.close(); }, patience);
        this.waiting.set(m.id, (o) => { clearTimeout(late); done(o); });
        socket.send(JSON.stringify({ type: "say", id: m.id, text: m.text, answers: m.answers }));
      });
    }
    return this.polling ? this.post(m) : "cut";
  }

  // post sends a message by a request: where sockets are blocked, and photos always.
  private async post(m: Unsent): Promise<Outcome> {
    const form = new FormData();
    form.set("id", m.id);
    form.set("words", m.text);
    for (const photo of m.photos || []) form.append("photo", photo, "photo.jpg");
    for (const a of m.answers || []) {
      form.append("asked", a.q);
      form.append("q/" + a.q, a.text);
    }
    const body = m.photos?.length ? form : new URLSearchParams([...form].map(([k, v]) => [k, String(v)]));
    try {
      const answer = await fetch("/chat/say", { method: "POST", headers: { Accept: "application/json" }, body, signal: AbortSignal.timeout(m.photos?.length ? photoPatience : patience) });
      return this.outcome(await answer.json());
    } catch {
      return "cut";
    }
  }

  private outcome(r: Reply): Outcome {
    if (r.type === "out") this.end();
    return r.type === "refused" ? { refused: r.why || "" } : r.type;
  }

  private hello() { this.socket?.send(JSON.stringify({ type: "hello", after: this.last() })); }

  private connect() {
    clearTimeout(this.again);
    let opened = false;
    const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/chat/ws");
    this.socket = socket;
    const late = setTimeout(() => socket.close(), patience);
    socket.onopen = () => { opened = true; clearTimeout(late); this.hello(); };
    socket.onmessage = (e) => {
      const m = JSON.parse(e.data);
      if (m.type === "news") {
        this.wait = 500;
        this.failed = 0;
        this.polling?.abort();
        this.polling = null;
        this.heard(m);
        this.told("live");
      } else {
        this.waiting.get(m.id)?.(this.outcome(m));
        this.waiting.delete(m.id);
      }
    };
    socket.onclose = (e) => {
      clearTimeout(late);
      if (socket !== this.socket) return;
      this.socket = null;
      for (const done of this.waiting.values()) done("cut");
      this.waiting.clear();
      if (e.code === signedOut) return this.end();
      if (this.over) return;
      if (!this.polling) this.told("cut");
      let wait = this.wait * (0.5 + Math.random());
      if (e.code === restart) wait = Number(e.reason) || wait;
      if (e.code === tooMany) wait = 30_000;
      this.wait = Math.min(this.wait * 2, 30_000);
      if (!opened && ++this.failed >= 2) this.poll();
      if (this.polling) wait = Math.max(wait, 30_000);
      this.again = setTimeout(() => this.connect(), wait);
    };
  }

  // poll asks, again and again, until a socket opens.
  private async poll() {
    if (this.polling || this.over) return;
    const mine = (this.polling = new AbortController());
    for (let wait = 1000; !mine.signal.aborted; ) {
      try {
        const answer = await fetch("/chat/news?wait=1&after=" + this.last(), { signal: mine.signal, headers: { Accept: "application/json" } });
        if (answer.status === 401) return this.end();
        if (answer.ok) {
          this.heard(await answer.json());
          this.told("slow");
          wait = 1000;
          continue;
        }
      } catch {
        if (mine.signal.aborted) return;
      }
      this.told("cut");
      await new Promise((go) => setTimeout(go, wait * (0.5 + Math.random())));
      wait = Math.min(wait * 2, 30_000);
    }
  }

  private end() {
    this.over = true;
    clearTimeout(this.again);
    this.polling?.abort();
    this.socket?.close();
    this.told("out");
  }
}
