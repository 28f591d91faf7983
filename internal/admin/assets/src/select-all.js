import { each } from "./added.js";

const members = (group) => [...document.querySelectorAll(`input[data-group="${CSS.escape(group)}"]`)].filter((box) => !box.disabled);

function summarise(all) {
  const boxes = members(all.dataset.selectAll);
  const checked = boxes.filter((box) => box.checked).length;
  all.checked = boxes.length > 0 && checked === boxes.length;
  all.indeterminate = !all.checked && boxes.some((box) => box.checked || box.indeterminate);
  if (all.dataset.group) summariseGroup(all.dataset.group); // groups of groups
}

const summariseGroup = (group) =>
  document.querySelectorAll(`input[data-select-all="${CSS.escape(group)}"]`).forEach(summarise);

each("input[data-select-all]", summarise);
each("input[data-group]", (box) => summariseGroup(box.dataset.group));
// A page that comes back from the cache brings boxes as they were left, without an event.
addEventListener("pageshow", () => document.querySelectorAll("input[data-select-all]").forEach(summarise));

document.addEventListener("change", ({ target }) => {
  if (target.matches?.("input[data-select-all]")) {
    const { checked } = target; // the first change below makes it a summary of the rest
    for (const box of members(target.dataset.selectAll)) {
      if (box.checked === checked) continue;
      box.checked = checked;
      box.dispatchEvent(new Event("change", { bubbles: true }));
    }
  } else if (target.matches?.("input[data-group]")) {
    summariseGroup(target.dataset.group);
  }
});
