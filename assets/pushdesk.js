/**
 * Notifications from a pushdesk server, for any page: everything but the looks.
 *
 *     import { Pushdesk } from "./pushdesk.js";
 *     const push = new Pushdesk({ server: "https://push.example", code: "7M3K-Q0ZT-A9WD-5HXE" });
 *     push.addEventListener("change", () => console.log(push.state));
 *     await push.start();    // at every load: mends the subscription where it needs mending
 *     await push.enable();   // from a click or a key: the browser may ask for permission
 *
 * `code` is an invitation. It works once; afterwards this browser is known without one. On the server's own machine
 * a name is enough: `push.enable("alice")`.
 *
 * `state` is always `{name, message, advice}`: a name of `STATES`, what is so, and what to do about it. No method
 * rejects, and none waits without a bound for anything but the user's answer to the permission question.
 */

/** unsupported, blocked: nothing can be done from here. off, on: as it says. working: wait. error: try again. */
export const STATES = ["unsupported", "blocked", "off", "working", "on", "error"];

const TIMEOUT_MS = { storage: 5_000, request: 15_000, worker: 15_000, subscribe: 20_000, change: 60_000 };

/** The server's answers after which only a new subscription helps. */
const NEEDS_NEW_SUBSCRIPTION = ["subscription_gone", "key_mismatch", "endpoint_taken"];

const ADVICE = {
  secure: "Open it with https://, or on the server's own machine with http://localhost.",
  install: "Tap Share, then “Add to Home Screen”, and open it from there. It takes iOS or iPadOS 16.4 or later.",
  browser: "Private windows have none. Otherwise use a current Firefox, Chrome, Edge or Safari.",
  answer: "Allow them there. If you see no question, look for a bell or a speech bubble beside the address.",
  retry: "Try again; if that does not help, reload the page.",
  server: "Check that you are online and that pushdesk is running, then try again.",
  switchedOff: "Whoever runs it can switch them on; then reload this page.",
  invitation: "Ask for a new one.",
  storage: "Close the browser and open it again.",
  pushService: "Check that you are online and that no firewall, VPN or ad blocker holds it back, then try again.",
  brave: "Switch on “Use Google services for push messaging” in Brave's privacy settings, then try again.",
};

/** How to unblock notifications, by browser; the first whose pattern fits. */
const UNBLOCKING = [
  [/iPhone|iPad|iPod/, "Open Settings, then Notifications, choose this app, and allow notifications."],
  [/Android.*Firefox\//, "Tap the lock or shield beside the address, and allow notifications."],
  [/Firefox\//, "Click the crossed-out speech bubble beside the address, and remove the block."],
  [/Android.*Chrome\//, "Tap the symbol beside the address, then Permissions, and allow notifications."],
  [/Chrome\//, "Click the symbol left of the address, and switch notifications on."],
  [/Safari\//, "Open Safari's Settings, then Websites, then Notifications, and allow this site."],
  [/(?:)/, "Allow notifications for this site in your browser's settings."],
];

/**
 * Something went wrong, in a sentence, and what to do about it. `code`: the server's, if it was the server.
 * `state`: the state that it leads to.
 */
class Trouble extends Error {
  constructor(message, { advice = "", code = "", state = "error" } = {}) {
    super(message);
    Object.assign(this, { advice, code, state });
  }
}

/**
 * This browser's subscription to one pushdesk server. Fires `change` whenever `state` does, and `redeemed` once an
 * invitation is used up: from then on its code is of no more use to anybody.
 */
export class Pushdesk extends EventTarget {
  #server;
  #serviceWorker;
  #code;
  #registration = null;
  #state = { name: "working", message: "Looking whether notifications are on …", advice: "" };

  /**
   * @param {object} [options]
   * @param {string} [options.server] the server's origin; by default where this module came from
   * @param {string} [options.serviceWorker] the address of `sw.js`, on the page's own origin
   * @param {string} [options.code] the code of an invitation, for `enable()`
   */
  constructor({ server = import.meta.url, serviceWorker = "/sw.js", code = "" } = {}) {
    super();
    this.#server = new URL(server).origin;
    this.#serviceWorker = serviceWorker;
    this.#code = code;
  }

  get state() {
    return this.#state;
  }

  /** The name under which this device was last enabled, or an empty string. */
  async user() {
    try {
      return (await readDevice()).user ?? "";
    } catch {
      return "";
    }
  }

  /** Whether this browser is the one that redeemed an invitation. */
  async hasRedeemed(code) {
    const device = await readDevice().catch(() => ({}));
    return device.server === this.#server && isSameCode(code, device.code);
  }

  /**
   * Says where notifications stand. If they are on, makes that true: the subscription is there, was made with the
   * server's current key, and the server knows it.
   */
  async start() {
    if (this.#obstacle()) return;
    await this.#run("Looking whether notifications are on …", async () => {
      await this.#register();
      const device = await readDevice();
      const isOn = device.endpoint && device.server === this.#server && Notification.permission === "granted";
      return isOn ? this.#subscribe(device.user, device) : off();
    });
    if (this.#state.name === "off") await this.#lookForPush();
  }

  /** Looks again, cheaply: for when the user comes back from the browser's settings or from another tab. */
  async refresh() {
    if (this.#state.name === "working") return;
    const isBlocked = globalThis.Notification?.permission === "denied";
    const device = await readDevice().catch(() => ({}));
    const isOn = Boolean(device.endpoint) && globalThis.Notification?.permission === "granted";
    if (isBlocked !== (this.#state.name === "blocked") || isOn !== (this.#state.name === "on")) await this.start();
  }

  /**
   * Asks for permission if need be, redeems the invitation if there is one, subscribes, and tells the server. Call it
   * from a click or a key.
   *
   * @param {string | {code: string}} [who] a user's name, or an invitation; by default the invitation that this was
   *   made with, and without one the user for whom this device was on before
   */
  async enable(who = { code: this.#code }) {
    if (this.#state.name === "working" || this.#obstacle()) return;
    const name = typeof who === "string" ? who.normalize("NFC").trim() : undefined;
    if (["", ".", ".."].includes(name)) {
      this.#set("error", "A name is needed.", "Type the name under which this device gets its notifications.");
      return;
    }
    this.#set("working", "Your browser asks whether notifications are allowed.", ADVICE.answer);
    if ((await Notification.requestPermission()) !== "granted") {
      if (!this.#obstacle()) this.#finish(off("They were not allowed. Try again when you like."));
      return;
    }
    await this.#run("Turning notifications on …", async () => {
      await this.#register();
      const device = await readDevice();
      const known = device.server === this.#server ? device : {};
      if (who.code) {
        const invited = isSameCode(who.code, known.code) ? known : await this.#redeem(who.code, known);
        this.dispatchEvent(new Event("redeemed"));
        return this.#subscribe(invited.user, invited);
      }
      const user = name ?? known.user;
      if (!user) throw new Trouble("An invitation is needed.", { advice: "Ask whoever runs this site for one." });
      return this.#subscribe(user, known.user === user ? known : {});
    });
  }

  /** Ends the subscription, here and on the server. One of the two is enough to end the pushes. */
  async disable() {
    if (this.#state.name === "working") return;
    await this.#run("Turning notifications off …", async () => {
      const device = await readDevice();
      const subscription = await this.#registration?.pushManager.getSubscription();
      const endpoint = device.endpoint ?? subscription?.endpoint;
      const [here, there] = await Promise.allSettled([
        within(TIMEOUT_MS.subscribe, subscription?.unsubscribe(), "The browser did not end the subscription in time."),
        endpoint && this.#remove(device, endpoint),
      ]);
      if (here.status === "rejected" && there.status === "rejected") throw there.reason;
      const { server, user, token, code } = device;
      await writeDevice(code ? { server, user, token, code } : { server, user });
      if (there.status === "fulfilled") return off();
      return off(`The server could not be told: ${there.reason.message} It notices by itself with its next push.`);
    });
  }

  /** Has the server send a test to this device. */
  async test() {
    if (this.#state.name !== "on") return;
    await this.#run("Asking for a test …", async () => {
      const device = await readDevice();
      const path = `${userPath(device.user)}/test`;
      const { deliveries } = await this.#call("POST", path, { endpoint: device.endpoint }, device);
      const [delivery] = deliveries;
      if (delivery?.outcome === "accepted") return on(device.user, "A test is on its way to this device.");
      throw new Trouble(`The test was not delivered: ${delivery?.reason || delivery?.outcome || "no answer"}.`, {
        advice: "Try again in a minute.",
      });
    });
  }

  // What stands in the way

  /** Sets the state and returns true if this browser, or this page in it, cannot have notifications. */
  #obstacle() {
    if (!globalThis.isSecureContext) {
      this.#set("unsupported", "This page was not opened securely, so notifications are not available.", ADVICE.secure);
    } else if (isAppleMobile() && !navigator.standalone) {
      this.#set("unsupported", "On iPhone and iPad, notifications need this page on the Home Screen.", ADVICE.install);
    } else if (!("serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis)) {
      this.#set("unsupported", "This browser has no push notifications.", ADVICE.browser);
    } else if (Notification.permission === "denied") {
      this.#set("blocked", "Notifications from this site are blocked in your browser.", adviceToUnblock());
    } else {
      return false;
    }
    return true;
  }

  /** Says so if the server has no push: better now than after the user was asked for permission. */
  async #lookForPush() {
    try {
      await this.#call("GET", "/vapid");
    } catch (error) {
      // Other trouble may be over when the button is pressed, and is told then.
      const isFinal = error.state === "unsupported" && this.#state.name === "off";
      if (isFinal) this.#set(error.state, error.message, error.advice);
    }
  }

  // The subscription

  async #register() {
    this.#registration = await within(
      TIMEOUT_MS.worker,
      navigator.serviceWorker.register(this.#serviceWorker, { updateViaCache: "none" }).then(activated),
      "The part of this page that receives notifications did not start in time.",
    );
  }

  /**
   * Redeems an invitation, and keeps what it gave before anything else can go wrong: a code works once. Where
   * notifications were on, they still are, for somebody else: `endpoint` stays, and the next load puts that right.
   */
  async #redeem(code, { endpoint }) {
    // A server without push, and one that does not let this site in, say so before the code is used up.
    await this.#call("GET", "/vapid");
    const { user, token } = await this.#call("POST", "/enrollments", { code });
    const device = { server: this.#server, user, endpoint, token, code };
    await writeDevice(device);
    return device;
  }

  /** Leaves a subscription made with the server's current key, known to the server. `device`: what was known so far. */
  async #subscribe(user, device, { isSecondTry = false } = {}) {
    const vapid = await this.#call("GET", "/vapid");
    const pushManager = this.#registration.pushManager;
    let subscription = await pushManager.getSubscription();
    if (subscription && !madeWith(subscription, vapid.public_key)) {
      await subscription.unsubscribe();
      subscription = null;
    }
    subscription ??= await subscribeWithin(TIMEOUT_MS.subscribe, pushManager, vapid.public_key);
    const { endpoint, expirationTime, keys } = subscription.toJSON();
    const body = { endpoint, expirationTime: expirationTime ?? null, keys, key_id: vapid.key_id };
    if (device.endpoint && device.endpoint !== endpoint) body.replaces = device.endpoint;
    let answer;
    try {
      answer = await this.#call("POST", `${userPath(user)}/subscription`, body, device);
    } catch (error) {
      if (isSecondTry || !NEEDS_NEW_SUBSCRIPTION.includes(error.code)) throw error;
      await subscription.unsubscribe();
      return this.#subscribe(user, device, { isSecondTry: true });
    }
    const token = answer.token ?? device.token;
    const key = { key_id: vapid.key_id, key_seen_at: Date.now() };
    await writeDevice({ server: this.#server, user, endpoint, ...key, token, code: device.code });
    return on(user);
  }

  async #remove(device, endpoint) {
    try {
      await this.#call("DELETE", `${userPath(device.user)}/subscription`, { endpoint }, device);
    } catch (error) {
      if (error.code !== "subscription_not_found") throw error;
    }
  }

  // The server

  async #call(method, path, body, { token, code } = {}) {
    const headers = {};
    if (body) headers["Content-Type"] = "application/json";
    if (token) headers.Authorization = `Bearer ${token}`;
    const { response, said } = await fetchJson(`${this.#server}/api/v1${path}`, {
      method,
      headers,
      body: body && JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
    });
    if (response.status === 204 || (response.ok && said)) return said;
    if (response.status === 401 && code && said?.code === "unauthorized") {
      const message = "The invitation of this device no longer counts.";
      throw new Trouble(message, { advice: ADVICE.invitation, code: said.code });
    }
    // The server forgot this device's token along with the device. Where no token is needed, it can start afresh.
    if (response.status === 401 && token && !code) return this.#call(method, path, body);
    if (said?.code === "not_found") {
      // Of a server without push, not even the paths are there.
      const message = "Push notifications are switched off on this server.";
      throw new Trouble(message, { advice: ADVICE.switchedOff, code: said.code, state: "unsupported" });
    }
    throw new Trouble(said?.detail || said?.title || `The server answered ${response.status}, and nothing of use.`, {
      advice: said?.hint || "Try again in a minute.",
      code: said?.code,
    });
  }

  // The state

  /** Runs one change at a time, over all tabs and the worker, and ends in the state it returns or in `error`. */
  async #run(message, change) {
    this.#set("working", message);
    try {
      const bounded = () => within(TIMEOUT_MS.change, change(), "The browser does not answer.");
      this.#finish(await navigator.locks.request("pushdesk", bounded));
    } catch (error) {
      if (error.name === "NotAllowedError" && this.#obstacle()) return;
      const isKnown = error instanceof Trouble;
      const problem = isKnown ? error.message : `Something went wrong: ${error.message || error.name}.`;
      this.#set(isKnown ? error.state : "error", problem, error.advice || ADVICE.retry);
    }
  }

  #finish({ name, message, advice }) {
    this.#set(name, message, advice);
  }

  #set(name, message, advice = "") {
    this.#state = { name, message, advice };
    this.dispatchEvent(new Event("change"));
  }
}

function on(user, advice = "You can close this page.") {
  return { name: "on", message: `Notifications for ${user} are on.`, advice };
}

function off(advice = "") {
  return { name: "off", message: "Notifications are off.", advice };
}

function userPath(user) {
  return `/users/${encodeURIComponent(user)}/webpush`;
}

/** The registration, once its worker is active: `subscribe` wants an active one. */
function activated(registration) {
  if (registration.active) return registration;
  const worker = registration.installing ?? registration.waiting;
  return new Promise((resolve, reject) => {
    worker.addEventListener("statechange", () => {
      if (worker.state === "activated") resolve(registration);
      if (worker.state === "redundant") reject(new Error("the service worker was discarded"));
    });
  });
}

async function subscribeWithin(milliseconds, pushManager, publicKey) {
  const advice = navigator.brave ? ADVICE.brave : ADVICE.pushService;
  try {
    return await within(
      milliseconds,
      pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytesOf(publicKey) }),
      "The browser's push service does not answer.",
      advice,
    );
  } catch (error) {
    if (error instanceof Trouble || error.name === "NotAllowedError") throw error;
    throw new Trouble("The browser could not reach its push service.", { advice });
  }
}

/** Fetches and reads the body as JSON (null if it is none), all of it in bounded time. */
async function fetchJson(url, options) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS.request);
  try {
    const response = await fetch(url, { ...options, signal: abort.signal });
    const body = await response.text();
    return { response, said: parsed(body) };
  } catch {
    const isElsewhere = new URL(url).origin !== location.origin;
    if (abort.signal.aborted) throw new Trouble("The server does not answer.", { advice: ADVICE.server });
    if (!isElsewhere) throw new Trouble("The server cannot be reached.", { advice: ADVICE.server });
    // A browser does not tell a page which of the two it is.
    throw new Trouble("The server cannot be reached, or does not let this site in.", {
      advice: `Check that you are online. Whoever runs pushdesk lets a site in with --allow-origin ${location.origin}.`,
    });
  } finally {
    clearTimeout(timer);
  }
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

// What this device knows of itself, shared with sw.js: {server, user, endpoint, key_id, key_seen_at, token, code}.
// `endpoint` is there while notifications are on, or were on when an invitation to others was redeemed. With a `code`,
// that of the invitation that was redeemed, the token outlives the subscription; otherwise it ends with it.

async function readDevice() {
  return (await inStore("readonly", (store) => store.get("device"))) ?? {};
}

async function writeDevice(device) {
  await inStore("readwrite", (store) => store.put(device, "device"));
}

async function inStore(mode, act) {
  const work = async () => {
    const opening = indexedDB.open("pushdesk", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("device");
    const database = await outcome(opening);
    try {
      return await outcome(act(database.transaction("device", mode).objectStore("device")));
    } finally {
      database.close();
    }
  };
  return within(TIMEOUT_MS.storage, work(), "The browser's storage does not answer.", ADVICE.storage);
}

function outcome(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// This browser

function isAppleMobile() {
  // An iPad calls itself a Mac; no Mac has a touch screen.
  const agent = navigator.userAgent;
  return /iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1);
}

function adviceToUnblock() {
  const agent = isAppleMobile() ? "iPhone" : navigator.userAgent;
  return UNBLOCKING.find(([pattern]) => pattern.test(agent))[1];
}

// Values

function within(milliseconds, promise, message, advice = "") {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Trouble(message, { advice })), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Whether two ways of writing it are the same code. */
function isSameCode(one, other) {
  const compact = (code) => code?.toUpperCase().replaceAll(/[^0-9A-Z]/g, "");
  return Boolean(compact(other)) && compact(one) === compact(other);
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
