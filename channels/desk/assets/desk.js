// Keeps the list fresh. The page works without it: what it does is ask again.
(() => {
  const status = document.getElementById("status");
  if (!status) return;
  let heard = Date.now();
  let asking = false;
  const clock = () => new Date().toLocaleTimeString("en-GB");
  async function refresh() {
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Have": status.dataset.tag }, credentials: "same-origin" });
      if (answer.status === 200 && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById("list");
        // Rows never move under somebody's hands: only when she is not in the list.
        const list = document.getElementById("list");
        if (fresh && !list.contains(document.activeElement)) {
          list.replaceWith(fresh);
          document.querySelector(".desk-tabs").replaceWith(page.querySelector(".desk-tabs"));
          status.dataset.tag = page.getElementById("status").dataset.tag;
          document.title = page.title;
        } else if (fresh) {
          say("Something is new. Leave the list to see it.");
          return;
        }
      } else if (answer.status !== 204) {
        throw new Error("not answered");
      }
      heard = Date.now();
      say("Up to date " + clock());
    } catch {
      late();
    } finally {
      asking = false;
    }
  }
  function say(words) {
    status.classList.remove("stale");
    status.textContent = words;
  }
  function late() {
    if (Date.now() - heard > 30000) {
      status.classList.add("stale");
      status.textContent = "This list may be out of date since " + new Date(heard).toLocaleTimeString("en-GB") + ". Reload the page.";
    }
  }
  const events = new EventSource("/desk/events");
  events.addEventListener("change", refresh);
  events.addEventListener("beat", () => { heard = Date.now(); say("Up to date " + clock()); });
  setInterval(() => { if (Date.now() - heard > 20000) refresh(); late(); }, 10000);
})();
