// Makes the desk quicker. Every page works without this: what it does is count the
// minutes, ask again, keep what is being written, and take keys.
(() => {
  const root = document.documentElement;
  const skew = root.dataset.now * 1000 - Date.now();
  const background = { "X-Background": "1" };
  const spell = (minutes) => minutes < 60 ? minutes + " min" : minutes < 2880 ? Math.floor(minutes / 60) + " h " + minutes % 60 + " min" : Math.floor(minutes / 1440) + " days";
  const clock = (at) => new Date(at).toLocaleTimeString("en-GB");
  const saved = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const save = (key, value) => { try { localStorage.setItem(key, value); } catch { /* it holds for this page only */ } };

  function count() {
    for (const e of document.querySelectorAll("[data-due]")) {
      const left = Math.round((e.dataset.due * 1000 - Date.now() - skew) / 60000);
      const words = left < 0 ? "Overdue by " + spell(-left) : spell(left) + " left";
      if (e.textContent !== words) e.textContent = words;
      e.classList.toggle("desk-late", left < 0);
    }
  }
  setInterval(count, 1000);
  document.getElementById("fault")?.focus();

  // Single keys: a choice of each device, and never while somebody writes.
  const keys = document.getElementById("keys");
  if (keys) {
    keys.checked = saved("desk-keys") !== "off";
    keys.addEventListener("change", () => save("desk-keys", keys.checked ? "on" : "off"));
    document.addEventListener("keydown", (e) => {
      if (!keys.checked || e.ctrlKey || e.altKey || e.metaKey || e.target.matches("input:not([type=radio],[type=checkbox]),textarea,select")) return;
      if (e.key === "j" || e.key === "k") {
        const rows = [...document.querySelectorAll(".desk-open")];
        const at = rows.indexOf(document.activeElement.closest("tr")?.querySelector(".desk-open"));
        const to = rows[e.key === "j" ? at + 1 : Math.max(0, at - 1)];
        if (to) { to.focus(); e.preventDefault(); }
        return;
      }
      let to = document.querySelector(`[data-key="${CSS.escape(e.key)}"]`);
      const row = document.activeElement.closest("tr");
      if (e.key === "t" && row) to = row.querySelector("form[action$='/take'] button");
      if (!to) return;
      e.preventDefault();
      if (to.matches("input,textarea")) to.focus();
      else if (to.matches("summary")) { to.parentElement.open = true; (to.parentElement.querySelector("input,textarea,select,button") || to).focus(); }
      else if (e.key === "r") to.focus(); // what came of the call is a choice
      else to.click();
    });
  }
  const sound = document.getElementById("sound");
  if (sound) {
    sound.checked = saved("desk-sound") === "on";
    sound.addEventListener("change", () => save("desk-sound", sound.checked ? "on" : "off"));
  }
  function ring() {
    if (!sound?.checked) return;
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    tone.frequency.value = 660;
    tone.connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.6);
  }

  // Whoever writes a password may look at it.
  for (const field of document.querySelectorAll("input[type=password]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "nhsuk-button nhsuk-button--secondary nhsuk-button--small desk-show";
    const label = () => {
      const hidden = field.type === "password";
      button.textContent = hidden ? "Show" : "Hide";
      button.setAttribute("aria-label", (hidden ? "Show" : "Hide") + " password");
    };
    button.addEventListener("click", () => { field.type = field.type === "password" ? "text" : "password"; label(); });
    field.form?.addEventListener("submit", () => { field.type = "password"; });
    label();
    field.after(button);
  }

  // A page that somebody has left signs itself out; what was written is kept.
  if ("signedIn" in root.dataset) {
    const warnAfter = 28 * 60000, lockAfter = 30 * 60000;
    let touched = Date.now(), told = Date.now();
    const note = () => {
      touched = Date.now();
      if (touched - told > 60000) { told = touched; fetch("/desk/stay", { method: "POST", credentials: "same-origin" }).catch(() => {}); }
    };
    for (const what of ["pointerdown", "keydown"]) document.addEventListener(what, note, { passive: true });
    setInterval(() => {
      const idle = Date.now() - touched;
      let bar = document.getElementById("lock");
      if (idle > lockAfter) location.href = "/desk/sign-in?next=" + encodeURIComponent(location.pathname);
      else if (idle > warnAfter && !bar) {
        bar = document.createElement("div");
        bar.id = "lock";
        bar.className = "desk-lock";
        bar.setAttribute("role", "alert");
        bar.innerHTML = '<p>You will be signed out in two minutes. What you have written is kept. <button type="button" class="nhsuk-button nhsuk-button--small">Stay signed in</button></p>';
        document.body.append(bar);
      } else if (idle <= warnAfter && bar) bar.remove();
    }, 5000);
  }

  // What is being written is kept on the server two seconds after the last key.
  const row = document.querySelector("[data-row]");
  const closing = location.pathname.match(/^\/desk\/rows\/([^/]+)\/close$/);
  const id = row?.dataset.row || closing?.[1];
  if (id) {
    const waiting = new Map();
    for (const field of document.querySelectorAll("[data-draft]")) {
      const keep = () => {
        clearTimeout(waiting.get(field));
        waiting.delete(field);
        const form = new URLSearchParams({ field: field.dataset.draft, text: field.value });
        fetch(`/desk/rows/${id}/draft`, { method: "POST", body: form, headers: background, credentials: "same-origin", keepalive: true }).catch(() => {});
      };
      field.addEventListener("input", () => {
        clearTimeout(waiting.get(field));
        waiting.set(field, setTimeout(keep, 2000));
      });
      field.form?.addEventListener("submit", () => { clearTimeout(waiting.get(field)); waiting.delete(field); });
      addEventListener("pagehide", () => { if (waiting.has(field)) keep(); });
    }
    const here = () => { if (!document.hidden) fetch(`/desk/rows/${id}/looking`, { method: "POST", headers: background, credentials: "same-origin" }).catch(() => {}); };
    setInterval(here, 45000);
  }

  // A case that has changed says so, and moves nothing under anybody's hands.
  const live = document.getElementById("live");
  if (row && live) {
    let shown = false;
    async function look() {
      try {
        const answer = await fetch(`/desk/rows/${id}/version`, { headers: background, credentials: "same-origin" });
        if (!answer.ok || await answer.text() === row.dataset.changed || shown) return;
        shown = true;
        live.innerHTML = '<div class="desk-live"><p>This case has changed since you opened it. <a href="">Show it</a>. What you have written is kept.</p></div>';
        live.querySelector("a").href = location.pathname;
      } catch { /* the next hint asks again */ }
    }
    const events = new EventSource("/desk/events");
    events.addEventListener("change", (e) => { if (JSON.parse(e.data).row === row.dataset.row) look(); });
    let first = true;
    events.addEventListener("open", () => { if (!first) look(); first = false; });
  }

  const status = document.getElementById("status");
  if (!status) return;
  let heard = Date.now(); // when the list was last known to be what the desk has
  let behind = false; // something has changed that the list does not show
  let asking = false, again = false, over = false;
  let next = null; // the page that would be shown
  async function refresh() {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const answer = await fetch(location.pathname + location.search.replace(/([?&])closed=[^&]*/, "$1"), { headers: { ...background, "X-Have": status.dataset.tag }, credentials: "same-origin" });
      if (answer.status === 200 && !answer.redirected) {
        show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      } else if (answer.status === 204) {
        behind = false;
      } else {
        throw new Error("not answered");
      }
      fresh();
    } catch {
      late();
    } finally {
      asking = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  }
  // Rows never move under somebody's hands: while she is in the list, what is new
  // waits behind a button. Only an emergency shows itself, above the list.
  function show(page) {
    const list = document.getElementById("list");
    const tabs = document.querySelector(".desk-tabs");
    if (!tabs.contains(document.activeElement)) tabs.replaceWith(page.querySelector(".desk-tabs"));
    document.title = page.title;
    const was = +status.dataset.emergencies, now = +page.getElementById("status").dataset.emergencies;
    status.dataset.emergencies = now;
    if (now > was) ring();
    next = page;
    behind = list.contains(document.activeElement) || over;
    const news = document.getElementById("news");
    if (behind) {
      const words = now > was ? "A new emergency: show it" : "Something is new: show it";
      if (news.dataset.words !== words) {
        news.dataset.words = words;
        news.innerHTML = `<div class="${now > was ? "desk-alarm" : ""}" role="${now > was ? "alert" : "status"}"><button type="button" class="nhsuk-button nhsuk-button--small">${words}</button></div>`;
        news.querySelector("button").addEventListener("click", put);
      }
      return;
    }
    put();
  }
  function put() {
    if (!next) return;
    const news = document.getElementById("news");
    news.replaceChildren();
    delete news.dataset.words;
    document.getElementById("list").replaceWith(next.getElementById("list"));
    status.dataset.tag = next.getElementById("status").dataset.tag;
    next = null;
    behind = over = false;
    count();
    fresh();
  }
  function fresh() {
    heard = Date.now();
    status.classList.remove("stale");
    status.textContent = behind ? "Something is new." : "Up to date " + clock(heard);
  }
  function late() {
    if (Date.now() - heard > 30000) {
      status.classList.add("stale");
      status.textContent = "This list may be out of date since " + clock(heard) + ". Reload the page.";
    }
  }
  function changed() {
    behind = true;
    refresh();
  }
  const events = new EventSource("/desk/events");
  events.addEventListener("open", changed); // whatever came while nobody listened
  events.addEventListener("change", changed);
  events.addEventListener("beat", () => behind ? refresh() : fresh());
  document.addEventListener("focusout", (e) => {
    if (behind && !document.getElementById("list").contains(e.relatedTarget)) refresh();
  });
  document.addEventListener("pointerover", (e) => {
    const inside = e.pointerType === "mouse" && !!e.target.closest?.("#list");
    if (over && !inside) { over = false; if (behind) refresh(); }
    over = inside;
  });
  setInterval(() => { if (Date.now() - heard > 20000) refresh(); late(); }, 10000);
})();
