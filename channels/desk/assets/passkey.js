// Passkeys: asks the browser for one, and sends what it answers as an ordinary form.
(() => {
  const can = window.PublicKeyCredential?.parseRequestOptionsFromJSON && PublicKeyCredential.parseCreationOptionsFromJSON;
  function ready(id, from, ask) {
    const form = document.getElementById(id);
    if (!form || !can) return;
    const says = form.querySelector(".desk-passkey-says");
    form.hidden = false;
    form.addEventListener("submit", async (e) => {
      e.preventDefault();
      says.textContent = "";
      try {
        const answer = await fetch(from, { method: "POST", credentials: "same-origin" });
        if (!answer.ok) throw new Error("not answered");
        const credential = await ask(await answer.json());
        form.elements.credential.value = JSON.stringify(credential);
        form.submit();
      } catch {
        says.textContent = "That did not work, or was broken off. Try again, or use another way.";
      }
    });
  }
  ready("passkey-in", "/desk/passkey/options", (o) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(o) }));
  ready("passkey-new", "/desk/second-factor/options", (o) => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(o) }));
})();
