import { each } from "./added.js";

const tabsOf = (list) => [...list.querySelectorAll("a[role=tab]")];
const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

// Only the chosen tab is a stop of the Tab key; arrow keys lead to the others.
each("[role=tablist]", (list) => {
  const tabs = tabsOf(list);
  const chosen = tabs.find((tab) => tab.getAttribute("aria-selected") === "true") ?? tabs[0];
  if (chosen) mark(list, chosen);
});

function mark(list, chosen) {
  for (const tab of tabsOf(list)) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === chosen ? 0 : -1;
    tab.classList.toggle("active", tab === chosen);
  }
}

// choose shows a tab's panel and reports whether it could: a panel that the server has not sent
// is left to the link.
function choose(tab) {
  if (!panelOf(tab)) return false;
  const list = tab.closest("[role=tablist]");
  mark(list, tab);
  for (const other of tabsOf(list)) {
    const panel = panelOf(other);
    if (panel) panel.hidden = other !== tab;
  }
  history.replaceState(history.state, "", tab.href);
  return true;
}

// While the event is on its way down, ahead of htmx, which may have taken over the page's links.
document.addEventListener("click", (event) => {
  const tab = event.target.closest?.("[role=tablist] a[role=tab]");
  if (!tab || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (!choose(tab)) return;
  event.preventDefault();
  event.stopPropagation();
}, true);

document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.("[role=tablist] a[role=tab]");
  if (!tab) return;
  const tabs = tabsOf(tab.closest("[role=tablist]"));
  const at = tabs.indexOf(tab);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1, " ": at }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const target = tabs.at(to % tabs.length);
  target.focus();
  if (!choose(target) && event.key === " ") target.click();
});
