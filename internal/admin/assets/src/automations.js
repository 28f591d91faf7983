import { each } from "./added.js";

const field = (form, name) => form.elements.namedItem(name);

// In form[data-automation], [data-shown-by=name][data-shown-for=value] is shown while that field has
// the value, and editors complete what the chosen trigger has.
document.addEventListener("change", ({ target }) => {
  const form = target.form;
  if (!form?.hasAttribute("data-automation")) return;
  for (const part of form.querySelectorAll(`[data-shown-by="${CSS.escape(target.name)}"]`)) {
    part.hidden = part.dataset.shownFor !== target.value;
  }
  if (target.name === "trigger") {
    for (const area of form.querySelectorAll("[data-editor-complete]")) {
      const url = new URL(area.dataset.editorComplete, location.href);
      url.searchParams.set("trigger", target.value);
      area.dataset.editorComplete = url.pathname + url.search;
    }
  }
});

// [data-diagnostics-for="#id"][data-diagnostics='[…]'] marks in an editor what is wrong there.
const latest = new Map(); // id of a textarea → what is wrong

function tell(area) {
  const found = latest.get(area.id);
  if (found) area.dispatchEvent(new CustomEvent("bugle:diagnostics", { detail: found }));
}

each("[data-diagnostics-for]", (element) => {
  const area = document.querySelector(element.dataset.diagnosticsFor);
  if (!area) return;
  latest.set(area.id, JSON.parse(element.dataset.diagnostics));
  tell(area);
});

// An editor that comes later than what is wrong in it.
each(".cm-editor", (editor) => {
  const area = editor.previousElementSibling;
  if (area?.matches("textarea[data-editor]") && area.form?.hasAttribute("data-automation")) tell(area);
});
