import { say } from "./announce.js";
import { each } from "./added.js";
import { lose, regain, sessionEnded } from "./connection.js";
import htmx from "./htmx.js";

const hiddenFor = 60_000; // a tab that long out of sight gives its connection to others
const lists = new Set();

addEventListener("pagehide", () => lists.forEach((list) => list.close()));
addEventListener("pageshow", (event) => event.persisted && lists.forEach((list) => list.open()));

let hiding;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => lists.forEach((list) => list.close()), hiddenFor);
  else lists.forEach((list) => list.open());
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-live-count]");
  if (!button) return;
  for (const list of lists) if (list.element.matches(button.dataset.liveCount)) list.show(button);
});

// A LiveList is an element, mostly a <tbody>, whose rows a stream replaces and adds to. Each
// message is {"id": the row's id, "html": the row; empty if it is gone}.
class LiveList {
  constructor(element) {
    this.element = element;
    this.url = new URL(element.dataset.liveList, location.href);
    this.max = Number(element.dataset.max) || 50;
    this.first = (element.dataset.page ?? "1") === "1";
    this.always = "liveAlways" in element.dataset; // new rows are shown at once
    this.waiting = new Map(); // id → html, the newest last
  }

  open() {
    if (!this.element.isConnected) return this.forget();
    if (this.source) return;
    clearTimeout(this.retry);
    if (this.lastId) this.url.searchParams.set("last_event_id", this.lastId);
    const source = (this.source = new EventSource(this.url));
    const receive = (event) => this.receive(event);
    source.onmessage = receive;
    source.addEventListener("row", receive);
    source.onopen = () => regain(this.element);
    source.onerror = () => {
      if (source !== this.source) return;
      lose(this.element);
      // The browser tries again by itself after a broken connection, but not after a refusal.
      if (source.readyState === EventSource.CLOSED) this.refused();
    };
  }

  close() {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = undefined;
  }

  forget() {
    this.close();
    lists.delete(this);
    regain(this.element);
  }

  async refused() {
    this.close();
    this.retry = setTimeout(() => this.open(), 10_000);
    const asked = new AbortController();
    try {
      const answer = await fetch(this.url, { headers: { Accept: "text/event-stream" }, signal: asked.signal });
      if (answer.status === 401) sessionEnded(answer.headers.get("X-Bugle-Sign-In"));
    } catch {
      // the next attempt will tell
    } finally {
      asked.abort(); // of a stream only the status was wanted
    }
  }

  receive(event) {
    if (!this.element.isConnected) return this.forget();
    if (event.lastEventId) this.lastId = event.lastEventId;
    const { id, html } = JSON.parse(event.data);
    const old = document.getElementById(id);
    if (old && this.element.contains(old)) {
      if (html) replace(old, html);
      else old.remove();
    } else if (!html) {
      this.waiting.delete(id);
    } else if (this.first && (this.always || (this.unread() && this.waiting.size === 0))) {
      this.prepend(html);
    } else {
      this.waiting.delete(id);
      this.waiting.set(id, html);
    }
    this.count();
  }

  // unread reports whether nobody has got into the list: new rows move nothing then that is being read.
  unread() {
    return scrollY < 40 || this.element.getBoundingClientRect().top > innerHeight;
  }

  prepend(html) {
    const row = parse(html);
    if (!row) return;
    this.element.querySelector("[data-live-placeholder]")?.remove();
    this.element.prepend(row);
    htmx.process(row);
    while (this.element.children.length > this.max) this.element.lastElementChild.remove();
  }

  count() {
    const n = this.waiting.size;
    for (const button of document.querySelectorAll("[data-live-count]")) {
      if (!this.element.matches(button.dataset.liveCount)) continue;
      const text = n > 99 ? "99+ new: show" : `${n} new: show`;
      if (n > 0 && button.hidden) say("New entries have arrived");
      button.textContent = text;
      button.hidden = n === 0;
    }
  }

  // show puts the waiting rows in; from a later page it goes to the first, which has them.
  show(button) {
    if (!this.first) {
      const url = new URL(button.dataset.liveHome ?? location.href, location.href);
      if (!button.dataset.liveHome) url.searchParams.delete("page");
      location.assign(url);
      return;
    }
    const rows = [...this.waiting.values()].slice(-this.max);
    this.waiting.clear();
    for (const html of rows) this.prepend(html);
    this.count();
    // To the top, unless the list is far below it.
    if (this.element.getBoundingClientRect().top + scrollY < innerHeight) scrollTo({ top: 0 });
    else (this.element.closest(".card") ?? this.element).scrollIntoView();
    this.element.querySelector("a[href], button, input")?.focus({ preventScroll: true });
  }
}

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

const focusable = "a[href], button, input, select, textarea, summary, [tabindex]";

// replace puts a new row where old is, and keeps the reader's focus, ticks and open details.
function replace(old, html) {
  const row = parse(html);
  if (!row) return;
  const focused = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
  const pairs = (selector) => {
    const after = row.querySelectorAll(selector);
    return [...old.querySelectorAll(selector)].map((before, i) => [before, after[i]]).filter(([, after]) => after);
  };
  for (const [before, after] of pairs("input[data-group]")) after.checked = before.checked;
  for (const [before, after] of pairs("details")) after.open = before.open;
  const self = old === document.activeElement;
  old.replaceWith(row);
  htmx.process(row);
  if (self) row.focus({ preventScroll: true });
  else if (focused >= 0) row.querySelectorAll(focusable)[focused]?.focus({ preventScroll: true });
}

each("[data-live-list]", (element) => {
  const list = new LiveList(element);
  lists.add(list);
  if (!document.hidden) list.open();
});
