import { each } from "./added.js";

const token = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const limit = 200_000; // characters; beyond that colours cost more than they help

// The colours are those of the editor. Text stays text: nothing of it is read as HTML.
each('pre[data-highlight="json"]', (block) => {
  const text = block.textContent;
  if (text.length > limit) return;
  const parts = document.createDocumentFragment();
  let at = 0;
  for (const found of text.matchAll(token)) {
    const [all, string, colon, word] = found;
    const kind = string ? (colon ? "tok-propertyName" : "tok-string") : word ? "tok-bool" : "tok-number";
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = string ?? all;
    parts.append(text.slice(at, found.index), span, colon ?? "");
    at = found.index + all.length;
  }
  parts.append(text.slice(at));
  block.replaceChildren(parts);
});
