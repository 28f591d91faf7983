// On narrow screens the sidebar is out of sight until a button[data-sidebar-toggle] brings it in.

const root = document.documentElement;
const isOpen = () => "sidebarOpen" in root.dataset;
const toggles = () => document.querySelectorAll("[data-sidebar-toggle]");

function set(open) {
  if (open) root.dataset.sidebarOpen = "";
  else delete root.dataset.sidebarOpen;
  for (const button of toggles()) button.setAttribute("aria-expanded", String(open));
}

document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-sidebar-toggle]")) {
    set(!isOpen());
    if (isOpen()) document.querySelector(".sidebar :is(a[href], button)")?.focus();
  } else if (isOpen() && (!target.closest(".sidebar") || target.closest(".sidebar a[href]"))) {
    set(false);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !isOpen()) return;
  set(false);
  toggles()[0]?.focus();
});

document.addEventListener("focusin", ({ target }) => {
  if (isOpen() && !target.closest(".sidebar, [data-sidebar-toggle]")) set(false);
});
