const root = document.documentElement;

export const prefersDark = matchMedia("(prefers-color-scheme: dark)");

// applyTheme sets the colours that <html data-theme="auto|light|dark"> asks for.
export function applyTheme() {
  const wanted = root.dataset.theme;
  const dark = wanted === "dark" || (wanted !== "light" && prefersDark.matches);
  root.dataset.bsTheme = dark ? "dark" : "light";
}
