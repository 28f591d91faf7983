import { each } from "./added.js";
import { applyTheme, prefersDark } from "./theme-apply.js";

const root = document.documentElement;
const next = { auto: "light", light: "dark", dark: "auto" };
const names = { auto: "as the system", light: "light", dark: "dark" };
const current = () => (root.dataset.theme in next ? root.dataset.theme : "auto");

function apply() {
  applyTheme();
  document.querySelectorAll("[data-theme-toggle]").forEach(label);
  document.dispatchEvent(new CustomEvent("bugle:theme")); // charts and editors redraw
}

function label(button) {
  const text = `Theme: ${names[current()]}. Change to ${names[next[current()]]}`;
  button.setAttribute("aria-label", text);
  button.title = text;
}

prefersDark.addEventListener("change", apply);
each("[data-theme-toggle]", label);

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-toggle]")) return;
  root.dataset.theme = next[current()];
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax${secure}`;
  apply();
});
