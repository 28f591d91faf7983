import { toast } from "./toast.js";

const lost = new Set(); // "offline", "request", and the elements whose streams broke off
let banner;
let shown = "";
let timer;

export function lose(what) {
  lost.add(what);
  schedule();
}

export function regain(what) {
  lost.delete(what);
  schedule();
}

// A stream that the server closes is back within a moment, and then nothing need be said.
function schedule() {
  clearTimeout(timer);
  timer = setTimeout(update, lost.size > 0 ? 2_000 : 0);
}

function update() {
  for (const what of lost) if (what instanceof Element && !what.isConnected) lost.delete(what);
  if (shown === "session") return; // says more
  if (lost.size > 0) show("lost", "Connection lost. Trying again…");
  else if (shown === "lost") hide();
}

function show(state, text, link) {
  if (!banner?.isConnected) {
    banner = document.createElement("div");
    banner.className = "banner";
    banner.setAttribute("role", "status");
    document.body.prepend(banner);
  } else if (shown === state) {
    return;
  }
  shown = state;
  banner.hidden = false;
  banner.textContent = text;
  if (link) banner.append(" ", link);
}

function hide() {
  shown = "";
  banner.hidden = true;
  banner.textContent = "";
}

// sessionEnded offers to sign in in another tab, so that what was typed here is not lost.
export function sessionEnded(header) {
  const url = new URL(header || "/login", location.href);
  const link = document.createElement("a");
  link.href = url.origin === location.origin ? url.href : "/login";
  link.target = "_blank";
  link.rel = "noopener";
  link.textContent = "Sign in again";
  link.addEventListener("click", () => addEventListener("focus", hide, { once: true }));
  show("session", "Your session has ended.", link);
}

// While requests do not get through, ask now and then whether the server is there again.
setInterval(async () => {
  if (!lost.has("request") || document.hidden) return;
  try {
    const answer = await fetch(document.documentElement.dataset.health || "/health", { cache: "no-store" });
    if (answer.status < 500) regain("request");
  } catch {
    // still away
  }
}, 5_000);

if (!navigator.onLine) lose("offline");
addEventListener("offline", () => lose("offline"));
addEventListener("online", () => regain("offline"));
document.addEventListener("htmx:sendError", () => lose("request"));
document.addEventListener("htmx:timeout", () => lose("request"));
document.addEventListener("htmx:sseError", (event) => lose(event.target));
document.addEventListener("htmx:sseOpen", (event) => regain(event.target));

document.addEventListener("htmx:afterOnLoad", ({ detail }) => {
  regain("request");
  if (shown === "session" && detail.xhr.status < 400) {
    hide();
    update();
  }
});

document.addEventListener("htmx:responseError", ({ detail: { xhr } }) => {
  const signIn = xhr.getResponseHeader("X-Bugle-Sign-In");
  if (xhr.status === 401 && signIn) sessionEnded(signIn);
  else toast(errorText(xhr), "error");
});

function errorText(xhr) {
  const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
  const text = page.querySelector("[data-error]")?.textContent.trim();
  if (text) return text;
  if (xhr.status === 403) return "You may not do this.";
  if (xhr.status === 404) return "This is not there any more.";
  return `Something went wrong (${xhr.status}). Please try again.`;
}
