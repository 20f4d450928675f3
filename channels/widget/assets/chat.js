// Keeps the chat live, and keeps every word until the server says that it is stored.
(() => {
  const log = document.getElementById("log"), form = document.getElementById("form"), words = document.getElementById("words");
  const state = document.getElementById("state"), loud = document.getElementById("loud");
  let last = Number(log.dataset.last), socket = null, wait = 500, opened = false;
  const box = "lookout-outbox";
  const read = () => { try { return JSON.parse(localStorage.getItem(box)) || []; } catch { return []; } };
  const keep = (list) => { try { localStorage.setItem(box, JSON.stringify(list)); } catch { memory = list; } };
  let memory = null;
  const outbox = () => memory || read();
  const shown = new Map(); // id of ours → its line
  function show(line) {
    if (line.seq && line.seq <= last) return;
    if (line.seq) last = line.seq;
    const had = line.id && shown.get(line.id);
    if (had) { had.querySelector(".sent")?.remove(); shown.delete(line.id); return; }
    const div = document.createElement("div");
    div.className = "line" + (line.mine ? " mine" : "") + (line.loud ? " loud" : "");
    const who = document.createElement("p"), text = document.createElement("p");
    who.className = "who"; text.className = "text";
    who.textContent = line.who + ", " + new Date(line.at || Date.now()).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    text.textContent = line.text;
    div.append(who, text);
    log.append(div);
    if (line.loud) loud.textContent = line.text;
    if (!line.mine) document.getElementById("options")?.remove();
    div.scrollIntoView({ block: "nearest" });
    return div;
  }
  function mark(div, text) {
    let p = div.querySelector(".sent");
    if (!p) { p = document.createElement("p"); p.className = "sent"; div.append(p); }
    p.textContent = text;
  }
  const late = "Not sent yet. We will send it when you are back online. If this is urgent ring the nurses, or 999.";
  function pending(m) {
    const div = show({ mine: true, who: "You", text: m.text });
    shown.set(m.id, div);
    mark(div, "Sending");
  }
  function done(id) { keep(outbox().filter((m) => m.id !== id)); const div = shown.get(id); if (div) mark(div, "Received"); }
  function push() { if (socket?.readyState === 1) for (const m of outbox()) socket.send(JSON.stringify({ type: "say", id: m.id, text: m.text })); }
  function heard(m) {
    if (m.type === "lines") for (const l of m.lines) { show(l); if (l.id) done(l.id); }
    if (m.type === "stored") done(m.id);
    if (m.type === "refused") { done(m.id); state.textContent = "Your message " + m.why + "."; }
    if (m.type === "later") setTimeout(push, 3000);
  }
  function connect() {
    socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/chat/ws");
    socket.onopen = () => { opened = true; wait = 500; state.textContent = ""; socket.send(JSON.stringify({ type: "hello", after: last })); push(); };
    socket.onmessage = (e) => heard(JSON.parse(e.data));
    socket.onclose = () => {
      for (const m of outbox()) { const div = shown.get(m.id); if (div) mark(div, late); }
      setTimeout(connect, wait * (0.5 + Math.random()));
      wait = Math.min(wait * 2, 30000);
      if (!opened) poll();
    };
  }
  // Where sockets are blocked: ask, and send by the form's own address.
  async function poll() {
    try {
      for (const m of outbox()) {
        const sent = await fetch("/chat/say", { method: "POST", body: new URLSearchParams({ id: m.id, words: m.text }), redirect: "manual" });
        if (sent.type === "opaqueredirect") done(m.id);
      }
      const answer = await fetch("/chat/thread?after=" + last);
      if (answer.ok) heard(await answer.json());
    } catch { state.textContent = outbox().length ? late : ""; }
  }
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    const choice = form.querySelector("input[name=choice]:checked");
    const text = words.value.trim() || choice?.value || "";
    if (!text) { state.textContent = "Write a message first."; return; }
    const m = { id: crypto.randomUUID ? crypto.randomUUID() : String(Date.now()) + Math.random().toString(36).slice(2), text };
    keep([...outbox(), m]);
    words.value = "";
    localStorage.removeItem("lookout-draft");
    state.textContent = "";
    pending(m);
    push();
    words.focus();
  });
  words.value = localStorage.getItem("lookout-draft") || words.value;
  words.addEventListener("input", () => { try { localStorage.setItem("lookout-draft", words.value); } catch { /* kept in the box itself */ } });
  for (const m of outbox()) pending(m);
  connect();
  log.lastElementChild?.scrollIntoView({ block: "nearest" });
})();
