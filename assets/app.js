/** The looks of the page: shows `Pushdesk`'s state and passes on what is pressed. */

import { Pushdesk } from "./pushdesk.js";

const BUTTON = {
  unsupported: "Turn on notifications",
  blocked: "Turn on notifications",
  off: "Turn on notifications",
  working: "One moment …",
  on: "Turn off notifications",
  error: "Try again",
};

const form = document.querySelector("form");
const user = document.querySelector("#pushdesk-user");
const toggle = document.querySelector("#pushdesk-toggle");
const test = document.querySelector("#pushdesk-test");
const status = document.querySelector("#pushdesk-status");
const [message, advice] = status.children;

const push = new Pushdesk();

function paint() {
  const state = push.state;
  status.dataset.state = state.name;
  message.textContent = state.message;
  advice.textContent = state.advice;
  toggle.textContent = BUTTON[state.name];
  toggle.disabled = ["unsupported", "blocked", "working"].includes(state.name);
  user.readOnly = ["on", "working"].includes(state.name);
  test.hidden = state.name !== "on";
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (push.state.name === "on") push.disable();
  else push.enable(user.value);
});
test.addEventListener("click", () => push.test());
push.addEventListener("change", paint);

// The user may have changed something in the browser's settings or in another tab.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && push.refresh());
const permission = await navigator.permissions?.query({ name: "notifications" }).catch(() => null);
permission?.addEventListener("change", () => push.refresh());

paint();
user.value ||= await push.user();
await push.start();
