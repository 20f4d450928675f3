// Whether this device tells her of new messages when the page is closed: her choice,
// for each device, and told in words that say nothing of her.

const post = (fields: Record<string, string>) => fetch("/chat/push", { method: "POST", body: new URLSearchParams(fields) });

// able says whether this browser can, on this page.
export const able = () => top === window && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

const subscribed = async () => (await navigator.serviceWorker.getRegistration("/chat/"))?.pushManager.getSubscription();

export const on = async () => !!(await subscribed()) && Notification.permission === "granted";

const base64 = (b: ArrayBuffer) => btoa(String.fromCharCode(...new Uint8Array(b))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const bytes = (s: string) => Uint8Array.from(atob(s.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

// start asks her browser, and the server; false: it may not, or cannot.
export async function start(key: string, lang: string): Promise<boolean> {
  try {
    if ((await Notification.requestPermission()) !== "granted") return false;
    await navigator.serviceWorker.register("/chat/push.js");
    const worker = (await navigator.serviceWorker.getRegistration("/chat/"))!;
    const s = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
    const kept = await post({ endpoint: s.endpoint, p256dh: base64(s.getKey("p256dh")!), auth: base64(s.getKey("auth")!), lang });
    if (!kept.ok) await s.unsubscribe();
    return kept.ok;
  } catch {
    return false;
  }
}

export async function stop(): Promise<void> {
  const s = await subscribed();
  if (!s) return;
  await post({ endpoint: s.endpoint, stop: "yes" });
  await s.unsubscribe();
}
