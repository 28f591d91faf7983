import { each } from "./added.js";

const before = new WeakMap(); // form → what it held when it arrived
const leaving = new Set(); // forms on their way to the server

function held(form) {
  return JSON.stringify([...new FormData(form)].map(([name, value]) => [name, value.name ?? value]));
}

// A form that comes back with errors still holds what nobody has saved: data-dirty="changed".
const changed = (form) => form.dataset.dirty === "changed" || before.get(form) !== held(form);

each("form[data-dirty]", (form) => before.set(form, held(form)));

addEventListener("submit", (event) => {
  if (!event.defaultPrevented) leaving.add(event.target);
});
addEventListener("pageshow", () => leaving.clear());

// htmx sends forms without leaving the page.
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.elt;
  if (event.detail.successful && before.has(form)) {
    before.set(form, held(form));
    form.dataset.dirty = "";
  }
});

addEventListener("beforeunload", (event) => {
  for (const form of document.querySelectorAll("form[data-dirty]")) {
    if (!leaving.has(form) && changed(form)) event.preventDefault();
  }
});
