// What she has written and the server has not called stored, kept on the device; and
// what she is in the middle of writing. It is kept apart for each person, so that on a
// shared device nobody sends the words of another.

export type Unsent = { id: string; me: string; text: string; at: number; photos?: Blob[]; refused?: string; answers?: Answer[] };

// Answer is what she answered of a form: to which question, and how that was asked.
export type Answer = { q: string; prompt: string; text: string };

// written is a message as it stands in the chat.
export const written = (m: Unsent) => [...(m.answers || []).map((a) => (a.prompt + " " + a.text).trim()), m.text].filter(Boolean).join("\n");

type Name = "outbox" | "draft";

// Memory stands in where the browser keeps nothing, as in some private windows.
const memory = { outbox: new Map<string, any>(), draft: new Map<string, any>() };

export class Outbox {
  private constructor(private db: IDBDatabase | null, private me: string) {}

  static open(me: string): Promise<Outbox> {
    return new Promise((done) => {
      try {
        const request = indexedDB.open("lookout", 1);
        request.onupgradeneeded = () => {
          request.result.createObjectStore("outbox", { keyPath: "id" });
          request.result.createObjectStore("draft", { keyPath: "me" });
        };
        request.onsuccess = () => done(new Outbox(request.result, me));
        request.onerror = () => done(new Outbox(null, me));
      } catch {
        done(new Outbox(null, me));
      }
    });
  }

  // keeps says whether words outlive the page.
  get keeps(): boolean { return this.db !== null; }

  // put resolves when the words are on the disk of the device.
  put(m: Unsent): Promise<void> {
    memory.outbox.set(m.id, m);
    return this.write("outbox", (store) => store.put(m));
  }

  drop(id: string): Promise<void> {
    memory.outbox.delete(id);
    return this.write("outbox", (store) => store.delete(id));
  }

  // list gives hers, oldest first.
  async list(): Promise<Unsent[]> {
    const all: Unsent[] = this.db ? await this.read((db) => db.transaction("outbox").objectStore("outbox").getAll()) : [...memory.outbox.values()];
    return all.filter((m) => m.me === this.me).sort((a, b) => a.at - b.at);
  }

  async draft(): Promise<string> {
    const kept = this.db ? await this.read((db) => db.transaction("draft").objectStore("draft").get(this.me)) : memory.draft.get(this.me);
    return kept?.text || "";
  }

  keepDraft(text: string): Promise<void> {
    const draft = { me: this.me, text };
    memory.draft.set(this.me, draft);
    return this.write("draft", (store) => (text ? store.put(draft) : store.delete(this.me)));
  }

  private write(name: Name, act: (store: IDBObjectStore) => void): Promise<void> {
    const db = this.db;
    if (!db) return Promise.resolve();
    return new Promise((done) => {
      try {
        const t = db.transaction(name, "readwrite", { durability: "strict" });
        t.oncomplete = () => done();
        t.onabort = t.onerror = () => { this.db = null; done(); }; // full, or taken away: memory goes on
        act(t.objectStore(name));
      } catch {
        this.db = null;
        done();
      }
    });
  }

  private read(ask: (db: IDBDatabase) => IDBRequest): Promise<any> {
    return new Promise((done, fail) => {
      const request = ask(this.db!);
      request.onsuccess = () => done(request.result);
      request.onerror = () => fail(request.error);
    });
  }
}
