/**
 * The service worker: shows what pushdesk pushes, opens what is clicked, and keeps the subscription alive.
 *
 * A classic script that stands alone: other sites serve this one file from their own origin, and classic workers run
 * in every browser that has push. That is why the few lines about storage and keys are here as well as in pushdesk.js.
 *
 * Browsers punish a push that shows nothing, so every way through `push` ends in a notification.
 */
"use strict";

const FETCH_TIMEOUT_MS = 15_000;
/** For all of a renewal: what never settles must not hold the lock that the page waits for as well. */
const RENEWAL_TIMEOUT_MS = 45_000;
/** Waits before each try to mend the subscription: the event tends to come while the network is just coming back. */
const RENEWAL_PAUSES_MS = [0, 2_000, 8_000];
/** How long the server's key is taken to be the one that was seen last. */
const KEY_HOLDS_MS = 24 * 60 * 60 * 1_000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(show(event).then(followKey)));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(clickTarget(event)));
});
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renewPatiently(event)));

// Showing

async function show(event) {
  // A browser with Declarative Web Push has read the message itself and shows it unless the worker replaces it.
  if (event.notification) return;
  const message = read(event.data);
  try {
    await self.registration.showNotification(message.title, message.options);
  } catch {
    // A browser that refuses one of the options still has to show the words.
    const { body, data } = message.options;
    await self.registration.showNotification(message.title, { body, data });
  }
  await setBadge(message.badge);
}

/** Turns a push's data into `{title, options, badge}`, whatever is in it. */
function read(data) {
  if (!data) return notice("You have a new notification", "It came without any content.");
  let message;
  try {
    message = data.json();
  } catch {
    return notice("You have a new notification", "Its content could not be read.");
  }
  const said = message?.notification;
  if (!isObject(said) || !text(said.title)) {
    return notice("You have a new notification", "Its content is not in a form that can be shown here.");
  }
  return { title: text(said.title), options: options(said), badge: message.app_badge };
}

function notice(title, body) {
  return { title, options: options({ body }), badge: undefined };
}

/**
 * The `NotificationOptions` for a pushed notification: known fields of the right type, nothing that makes
 * `showNotification` throw (`renotify` without a tag does). What a click needs travels in `data`.
 */
function options(said) {
  const actions = (Array.isArray(said.actions) ? said.actions : [])
    .map((each) => ({ action: text(each?.action), title: text(each?.title), navigate: webUrl(each?.navigate) }))
    .filter(({ action, title }) => action && title)
    .slice(0, self.Notification?.maxActions ?? 2);
  const tag = text(said.tag);
  return withoutUndefined({
    body: text(said.body),
    icon: imageUrl(said.icon) ?? new URL("icon-192.png", self.location.href).href,
    badge: imageUrl(said.badge) ?? new URL("badge-96.png", self.location.href).href,
    image: imageUrl(said.image),
    tag,
    renotify: tag ? flag(said.renotify) : undefined,
    lang: text(said.lang),
    dir: ["auto", "ltr", "rtl"].includes(said.dir) ? said.dir : undefined,
    silent: flag(said.silent),
    requireInteraction: flag(said.requireInteraction),
    timestamp: Number.isFinite(said.timestamp) ? said.timestamp : undefined,
    actions: actions.length ? actions.map(({ action, title }) => ({ action, title })) : undefined,
    data: {
      ...(isObject(said.data) ? said.data : withoutUndefined({ data: said.data })),
      navigate: webUrl(said.navigate) ?? self.registration.scope,
      actions: actions.map(({ action, navigate }) => withoutUndefined({ action, navigate })),
    },
  });
}

async function setBadge(count) {
  if (!Number.isInteger(count) || count < 0 || !self.navigator.setAppBadge) return;
  try {
    await self.navigator.setAppBadge(count);
  } catch {
    // An ornament of installed apps: elsewhere the call is refused, and the notification is already shown.
  }
}

// Clicks

function clickTarget({ action, notification }) {
  const data = isObject(notification.data) ? notification.data : {};
  const actions = Array.isArray(data.actions) ? data.actions : [];
  // A click on the notification itself has the action "".
  const pressed = actions.find((each) => each?.action === action);
  return webUrl(pressed?.navigate) ?? webUrl(data.navigate) ?? self.registration.scope;
}

/** Focuses an open tab of that address, else opens one. */
async function open(url) {
  const tabs = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const [tab] = tabs
    .filter((each) => each.url === url)
    .sort((one, other) => (other.visibilityState === "visible") - (one.visibilityState === "visible"));
  try {
    // Firefox focuses a tab in the background without bringing it to the front: the click would seem to do nothing.
    const focused = await tab?.focus();
    if (focused?.visibilityState === "visible") return;
  } catch {
    // That tab cannot be focused, for example because it is just being closed.
  }
  await self.clients.openWindow(url);
}

// The subscription

async function renewPatiently(event) {
  for (const [tries, pause] of RENEWAL_PAUSES_MS.entries()) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      return await self.navigator.locks.request("pushdesk", () => within(RENEWAL_TIMEOUT_MS, renew(event)));
    } catch (error) {
      if (tries === RENEWAL_PAUSES_MS.length - 1) throw error;
    }
  }
}

let following = null;

/**
 * Sees at most once a day whether the server has a new key, and renews the subscription then: a device whose page is
 * never opened is not to be lost when the old key ends. What goes wrong is tried again with the next push.
 */
function followKey() {
  // Of pushes that come together, one is enough to look.
  following ??= lookForNewKey()
    .catch(() => {})
    .finally(() => {
      following = null;
    });
  return following;
}

async function lookForNewKey() {
  const device = await readDevice();
  // A clock that was put back does not put this off.
  if (!device.endpoint || Math.abs(Date.now() - (device.key_seen_at ?? 0)) < KEY_HOLDS_MS) return;
  const { public_key } = await call(device, "GET", "vapid");
  const subscription = await self.registration.pushManager.getSubscription();
  if (subscription && !madeWith(subscription, public_key)) return renewPatiently({});
  await self.navigator.locks.request("pushdesk", async () => {
    await writeDevice({ ...(await readDevice()), key_seen_at: Date.now() });
  });
}

/** Makes the subscription match the server's key and tells the server, in the name of the device's token. */
async function renew(event) {
  const device = await readDevice();
  // Without an endpoint notifications were switched off here; a browser's own renewal does not switch them on.
  if (!device.endpoint) return;
  const vapid = await call(device, "GET", "vapid");
  let subscription = event.newSubscription ?? (await self.registration.pushManager.getSubscription());
  if (subscription && !madeWith(subscription, vapid.public_key)) {
    await subscription.unsubscribe();
    subscription = null;
  }
  subscription ??= await self.registration.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: bytesOf(vapid.public_key),
  });
  const { endpoint, expirationTime, keys } = subscription.toJSON();
  const answer = await call(device, "POST", `users/${encodeURIComponent(device.user)}/webpush/subscription`, {
    endpoint,
    expirationTime: expirationTime ?? null,
    keys,
    key_id: vapid.key_id,
    replaces: device.endpoint,
  });
  const token = answer.token ?? device.token;
  await writeDevice({ ...device, endpoint, key_id: vapid.key_id, key_seen_at: Date.now(), token });
}

async function call(device, method, path, body) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (device.token) headers.Authorization = `Bearer ${device.token}`;
  const response = await fetch(`${device.server}/api/v1/${path}`, {
    method,
    headers,
    body: body && JSON.stringify(body),
    cache: "no-store",
    credentials: "omit",
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  // The server forgot this device's token along with the device. Where no token is needed, it can start afresh, but
  // not where an invitation was: whoever ended that meant it.
  const mayStartAfresh = device.token && !device.code;
  if (response.status === 401 && mayStartAfresh) return call({ ...device, token: undefined }, method, path, body);
  if (!response.ok) throw new Error(`pushdesk answered ${response.status}`);
  return response.json();
}

// What this device knows of itself, shared with pushdesk.js, which says what is what

async function readDevice() {
  return (await inStore("readonly", (store) => store.get("device"))) ?? {};
}

async function writeDevice(device) {
  await inStore("readwrite", (store) => store.put(device, "device"));
}

async function inStore(mode, act) {
  const opening = indexedDB.open("pushdesk", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("device");
  const database = await outcome(opening);
  try {
    return await outcome(act(database.transaction("device", mode).objectStore("device")));
  } finally {
    database.close();
  }
}

function outcome(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// Values

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Non-empty text, else undefined. Half a surrogate pair is replaced: Chromium ends the whole process for one. */
function text(value) {
  return typeof value === "string" && value !== "" ? (value.toWellFormed?.() ?? value) : undefined;
}

function flag(value) {
  return typeof value === "boolean" ? value : undefined;
}

/** An absolute http or https address, else undefined: `javascript:` and the like are never opened. */
function webUrl(value) {
  try {
    const url = new URL(text(value), self.location.href);
    return text(value) && ["http:", "https:"].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function imageUrl(value) {
  return text(value)?.startsWith("data:image/") ? value : webUrl(value);
}

function withoutUndefined(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

function madeWith(subscription, publicKey) {
  const key = subscription.options.applicationServerKey;
  return key !== null && base64url(key) === publicKey;
}

function base64url(buffer) {
  return btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function bytesOf(base64urlText) {
  const binary = atob(base64urlText.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("The subscription could not be renewed in time")), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
