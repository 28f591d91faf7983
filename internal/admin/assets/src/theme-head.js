// Runs in <head>, before anything is drawn, so that no page flashes in the wrong colours.
import { applyTheme } from "./theme-apply.js";

applyTheme();
document.documentElement.dataset.js = ""; // for styles that only make sense with scripts
