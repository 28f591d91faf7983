const open = () => [...document.querySelectorAll("details[data-menu][open]")];
const close = (menu) => (menu.open = false);

document.addEventListener("click", ({ target }) => {
  for (const menu of open()) {
    const inside = menu.contains(target);
    const chosen = inside && target.closest("a, button") && !menu.hasAttribute("data-menu-stay");
    if (!inside || chosen) close(menu);
  }
});

document.addEventListener("focusout", ({ target, relatedTarget }) => {
  const menu = target.closest?.("details[data-menu][open]");
  // Without a next element the page or the mouse took the focus; a click outside has closed it.
  if (menu && relatedTarget && !menu.contains(relatedTarget)) close(menu);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = open().at(-1);
    if (!menu) return;
    close(menu);
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    event.stopPropagation();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const menu = event.target.closest("details[data-menu]");
    if (!menu || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    menu.open = true;
    const items = [...menu.querySelectorAll(":scope > :not(summary) :is(a[href], button:not(:disabled), input)")];
    const at = items.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
    items.at(at % items.length)?.focus();
  }
});
