// Keeps the page fresh. It works without this: what this does is count the minutes
// and ask again.
(() => {
  const skew = document.documentElement.dataset.now * 1000 - Date.now();
  const spell = (minutes) => minutes < 60 ? minutes + " min" : minutes < 2880 ? Math.floor(minutes / 60) + " h " + minutes % 60 + " min" : Math.floor(minutes / 1440) + " days";
  function count() {
    for (const e of document.querySelectorAll("[data-due]")) {
      const left = Math.round((e.dataset.due * 1000 - Date.now() - skew) / 60000);
      const words = left < 0 ? "Overdue by " + spell(-left) : spell(left) + " left";
      if (e.textContent !== words) e.textContent = words;
      e.classList.toggle("desk-late", left < 0);
    }
  }
  setInterval(count, 1000);

  const status = document.getElementById("status");
  if (!status) return;
  let heard = Date.now(); // when the list was last known to be what the desk has
  let behind = false; // something has changed that the list does not show
  let asking = false, again = false;
  const clock = () => new Date(Date.now() + skew).toLocaleTimeString("en-GB"); // the desk's own time
  async function refresh() {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Have": status.dataset.tag }, credentials: "same-origin" });
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
  // Rows never move under somebody's hands: while she is in the list, only the
  // counts change, and what is new comes when she leaves it.
  function show(page) {
    const list = document.getElementById("list");
    const tabs = document.querySelector(".desk-tabs");
    if (!tabs.contains(document.activeElement)) tabs.replaceWith(page.querySelector(".desk-tabs"));
    document.title = page.title;
    behind = list.contains(document.activeElement);
    if (behind) return;
    list.replaceWith(page.getElementById("list"));
    status.dataset.tag = page.getElementById("status").dataset.tag;
    count();
  }
  function fresh() {
    heard = Date.now();
    status.classList.remove("stale");
    status.textContent = behind ? "Something is new. Leave the list to see it." : "Up to date " + clock();
  }
  function late() {
    if (Date.now() - heard > 30000) {
      status.classList.add("stale");
      status.textContent = "This list may be out of date since " + new Date(heard + skew).toLocaleTimeString("en-GB") + ". Reload the page.";
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
  setInterval(() => { if (Date.now() - heard > 20000) refresh(); late(); }, 10000);
})();
