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

/** What is said where nothing but an invitation lets anybody in. */
const BY_INVITATION = "This server lets browsers in by invitation only. Enter the code of yours.";

/** What is said of an invitation that has not been redeemed, in the states in which nothing else matters more. */
const ABOUT_INVITATION = {
  off: "You are invited. The invitation is used once you press the button.",
  on: "Accept the invitation to get its notifications here instead.",
  unsupported: "Take the code along: it has not been used.",
};

const form = document.querySelector("form");
const user = document.querySelector("#pushdesk-user");
const code = document.querySelector("#pushdesk-code");
const toggle = document.querySelector("#pushdesk-toggle");
const way = document.querySelector("#pushdesk-way");
const test = document.querySelector("#pushdesk-test");
const status = document.querySelector("#pushdesk-status");
const [message, advice] = status.children;

/** Whether the server lets browsers in by invitation only: then no name is typed, but one's own is shown. */
const takesNoNames = "byInvitation" in form.dataset;

const push = new Pushdesk();
/** Whether the form takes an invitation's code, not a name. */
let isByCode = takesNoNames;

function paint() {
  const state = push.state;
  status.dataset.state = state.name;
  message.textContent = state.message;
  const withoutCode = takesNoNames && state.name === "off" ? BY_INVITATION : "";
  const aboutInvitation = code.value ? ABOUT_INVITATION[state.name] : withoutCode;
  advice.textContent = [state.advice, isByCode && aboutInvitation].filter(Boolean).join(" ");
  toggle.textContent = isByCode && state.name === "on" ? "Accept the invitation" : BUTTON[state.name];
  toggle.disabled = ["unsupported", "blocked", "working"].includes(state.name);
  user.readOnly = takesNoNames || ["on", "working"].includes(state.name);
  code.readOnly = state.name === "working";
  for (const field of [user, code]) {
    // A field that is hidden must not keep the form from being submitted.
    field.disabled = isByCode !== (field === code);
    field.parentElement.hidden = field.disabled;
  }
  way.textContent = isByCode ? "Go on without a code" : "I have an invitation code";
  way.disabled = state.name === "working";
  // Each in the other's place, so that nothing moves.
  test.hidden = state.name !== "on";
  way.hidden = isByCode ? takesNoNames && !user.value : state.name === "on";
}

function choose(byCode) {
  isByCode = byCode;
  paint();
}

/** Shows the code of an invitation whose link was opened; redeems nothing: mail programs open links by themselves. */
async function readInvitation() {
  if (location.pathname !== "/enroll") return;
  code.value = location.hash.slice(1);
  if (await push.hasRedeemed(code.value)) leaveInvitation();
  else choose(true);
}

async function leaveInvitation() {
  const hadFocus = document.activeElement === code;
  history.replaceState(null, "", "/");
  code.value = "";
  user.value = await push.user();
  choose(takesNoNames && !user.value);
  if (hadFocus) user.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  // A link that was pasted ends with its code.
  if (isByCode) push.enable({ code: code.value.split("#").at(-1) });
  else if (push.state.name === "on") push.disable();
  else push.enable(user.value);
});
way.addEventListener("click", () => {
  choose(!isByCode);
  (isByCode ? code : user).focus();
  // What was wrong with a code is no longer of interest.
  if (!isByCode) push.refresh();
});
test.addEventListener("click", () => push.test());
push.addEventListener("change", paint);
push.addEventListener("redeemed", leaveInvitation);
addEventListener("hashchange", readInvitation);

// The user may have changed something in the browser's settings or in another tab.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && push.refresh());
const permission = await navigator.permissions?.query({ name: "notifications" }).catch(() => null);
permission?.addEventListener("change", () => push.refresh());

paint();
const known = await push.user();
// What was typed before a reload stays.
user.value = takesNoNames ? known : user.value || known;
choose(takesNoNames && !user.value);
await readInvitation();
await push.start();
