// <lookout-chat> on a hospital's own page: says what the chat is and is not, and
// opens it in a window of its own, where the page around it cannot see her words.
//
//   <script src="https://lookout.example.nhs.uk/chat/widget.js" async></script>
//   <lookout-chat></lookout-chat>
//
// It sets no cookie, loads nothing else, and breaks no content policy: nothing is
// inline. Its colours follow --lookout-colour and --lookout-text of the page.
(() => {
  const team = {}; // put in when it is served: the service's name and number, and where the chat is
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { display: block; max-width: 34rem; }
    section { border-left: 8px solid var(--lookout-colour, #005eb8); background: #fff; color: #212b32; padding: 16px; font: inherit; line-height: 1.45; }
    h2 { font-size: 1.25em; margin: 0 0 8px; }
    p { margin: 0 0 12px; }
    a { color: #005eb8; }
    a.open { display: inline-block; background: var(--lookout-colour, #005eb8); color: var(--lookout-text, #fff); font-weight: 700; padding: 12px 20px; border-radius: 4px; text-decoration: none; }
    a:focus { outline: 4px solid #ffeb3b; outline-offset: 0; box-shadow: 0 0 0 6px #212b32; }
    @media (forced-colors: active) { a.open { border: 2px solid LinkText; } }
  `);
  class LookoutChat extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) return;
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [sheet];
      const add = (to, name, text, set = {}) => to.appendChild(Object.assign(document.createElement(name), { textContent: text }, set));
      const box = add(root, "section", "", { lang: "en-GB" });
      box.setAttribute("aria-labelledby", "title");
      add(box, "h2", "Messages to your nurses", { id: "title" });
      const danger = add(box, "p", "Not watched day and night. In an emergency ring ");
      add(danger, "a", "999", { href: "tel:999" });
      danger.append(" or go to A&E.");
      add(box, "p", `For people whom ${team.service} looks after. You open it with the link in our text and your date of birth. Or ring ${team.nurseLine}.`);
      add(box, "a", "Open my messages (new window)", { className: "open", href: team.chat, target: "_blank", rel: "noopener noreferrer" });
    }
  }
  if (!customElements.get("lookout-chat")) customElements.define("lookout-chat", LookoutChat);
})();
