import { each } from "./added.js";

const nonce = document.currentScript?.nonce;
const loaded = new Set();

// Charts and editors are large and few pages have them, so their scripts come when needed. Each
// then finds its elements by itself.
function load(url) {
  if (!url || loaded.has(url)) return;
  loaded.add(url);
  const script = document.createElement("script");
  script.src = url;
  if (nonce) script.nonce = nonce;
  document.head.append(script);
}

each("[data-chart]", () => load(document.documentElement.dataset.chartSrc));
each("textarea[data-editor]", () => load(document.documentElement.dataset.editorSrc));
