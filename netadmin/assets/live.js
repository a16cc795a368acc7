// What a page does by itself, beside htmx:
//
//   [data-live]      polls; a poll sends the ETag of what is shown, so that an unchanged part is
//                    answered 304 and stays as it is; a hidden tab does not poll
//   [data-ago]       a time, written as "4 s ago" and kept true, by the clock of the control plane
//   [data-spoken]    the sentence that is read out when it changes
//   #away            shown while the control plane does not answer
"use strict";

const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];
const shown = new WeakMap(); // part that polls -> ETag of what it shows
let spoken = "";
let answered = new Date();
let ahead = 0; // milliseconds by which the control plane's clock is ahead of this one

function setClock(now) {
  ahead = Date.parse(now) - Date.now();
}

function ago(element) {
  const seconds = Math.max(0, Math.round((Date.now() + ahead - Date.parse(element.dateTime)) / 1000));
  const [, unit, word] = STEPS.find(([limit]) => seconds < limit);
  const text = `${Math.floor(seconds / unit)} ${word} ago`;
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  document.querySelectorAll("[data-ago]").forEach(ago);
}

function speak() {
  const sentence = document.querySelector("[data-spoken]")?.textContent.trim().replace(/\s+/g, " ");
  if (sentence && spoken && sentence !== spoken) document.getElementById("spoken").textContent = sentence;
  spoken = sentence ?? spoken;
}

function here() {
  answered = new Date();
  document.getElementById("away").hidden = true;
}

function away() {
  const line = document.getElementById("away");
  if (!line.hidden) return;
  line.textContent = `The control plane does not answer. This is what was known at ${answered.toLocaleTimeString()}.`;
  line.hidden = false;
}

document.addEventListener("htmx:configRequest", (event) => {
  const part = event.target;
  if (!part.matches("[data-live]")) return;
  if (document.hidden) event.preventDefault();
  if (shown.has(part)) event.detail.headers["If-None-Match"] = shown.get(part);
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.target;
  if (!part.matches("[data-live]")) return;
  if (event.detail.xhr.status >= 400) return;
  here();
  setClock(event.detail.xhr.getResponseHeader("Date"));
  if (!event.detail.shouldSwap) return;
  shown.set(part, event.detail.xhr.getResponseHeader("ETag"));
  const open = [...part.querySelectorAll("details[open][id]")].map((details) => details.id);
  part.addEventListener("htmx:afterSwap", () => {
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    tick();
    speak();
  }, { once: true });
});

// What is gone, or not for this reader any more: the whole page says so better than we could.
document.addEventListener("htmx:responseError", (event) => {
  if (!event.target.matches("[data-live]")) return;
  if (event.detail.xhr.status < 500) location.reload();
  else away();
});

document.addEventListener("htmx:sendError", away);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  tick();
  document.querySelectorAll("[data-live]").forEach((part) => htmx.trigger(part, "look"));
});

setClock(document.documentElement.dataset.now);
tick();
speak();
setInterval(tick, 1000);
