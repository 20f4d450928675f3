// The service worker: it shows that there is a message, in words that say no more, and
// opens the messages when she taps it. It keeps nothing, and answers no page.

interface Pushed extends Event { data: { json(): { title: string; body: string } } | null; waitUntil(done: Promise<unknown>): void }
interface Tapped extends Event { notification: Notification; waitUntil(done: Promise<unknown>): void }
interface Page { url: string; visibilityState: string; focus(): Promise<unknown> }
declare const registration: ServiceWorkerRegistration;
declare const clients: { matchAll(o: { type: "window"; includeUncontrolled: true }): Promise<Page[]>; openWindow(url: string): Promise<unknown> };

const pages = async () => (await clients.matchAll({ type: "window", includeUncontrolled: true })).filter((p) => new URL(p.url).pathname === "/chat");

addEventListener("push", (e) => {
  const event = e as Pushed;
  event.waitUntil((async () => {
    if ((await pages()).some((p) => p.visibilityState === "visible")) return; // she sees it
    const text = event.data?.json();
    await registration.showNotification(text?.title || "Messages", { body: text?.body || "", tag: "message" });
  })());
});

addEventListener("notificationclick", (e) => {
  const event = e as Tapped;
  event.notification.close();
  event.waitUntil(pages().then((all) => (all[0] ? all[0].focus() : clients.openWindow("/chat"))));
});
