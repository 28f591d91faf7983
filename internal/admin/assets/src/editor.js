// Turns <textarea data-editor="json|twig|twig-json|condition"> into an editor. The textarea stays
// in the form, hidden, with the same text, so that the form is posted as ever.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, drawSelection, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { each } from "./added.js";
import { condition, tagAround, twig, twigJSON } from "./language.js";

const nonce = document.currentScript?.nonce;
const languages = { json: json(), twig, "twig-json": twigJSON, condition };
const quiet = 400; // ms without a change before bugle:edited

const dark = () => document.documentElement.dataset.bsTheme === "dark";
const theme = new Compartment();
const themeNow = () => EditorView.darkTheme.of(dark());
const views = new Set();

document.addEventListener("bugle:theme", () => {
  for (const view of views) {
    if (view.dom.isConnected) view.dispatch({ effects: theme.reconfigure(themeNow()) });
    else views.delete(view);
  }
});

each("textarea[data-editor]", (area) => {
  let timer;
  let writing = false; // the change being made is ours, and nobody typed it

  const view = new EditorView({
    doc: area.value,
    extensions: [
      nonce ? EditorView.cspNonce.of(nonce) : [],
      theme.of(themeNow()),
      lineNumbers(),
      lintGutter(),
      history(),
      drawSelection(),
      indentOnInput(),
      indentUnit.of("  "),
      bracketMatching(),
      closeBrackets(),
      EditorView.lineWrapping,
      syntaxHighlighting(classHighlighter),
      languages[area.dataset.editor] ?? [],
      autocompletion({ override: area.dataset.editorComplete ? [completion(area)] : [] }),
      area.placeholder ? placeholder(area.placeholder) : [],
      EditorState.readOnly.of(area.readOnly || area.disabled),
      EditorView.contentAttributes.of(attributes(area)),
      // Tab is left alone: it leads out of the editor, as out of any other field.
      keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap]),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        area.value = view.state.doc.toString();
        if (writing) return;
        area.dispatchEvent(new Event("input", { bubbles: true }));
        clearTimeout(timer);
        timer = setTimeout(() => area.dispatchEvent(new CustomEvent("bugle:edited", { bubbles: true })), quiet);
      }),
    ],
  });
  views.add(view);

  const lines = Number(area.getAttribute("rows")) || 6;
  view.scrollDOM.style.minHeight = `${lines * 1.5 + 0.6}em`;
  view.scrollDOM.style.maxHeight = `${Math.max(lines, 30) * 1.5}em`;
  area.after(view.dom);
  area.hidden = true;
  area.required = false; // a browser cannot point at a hidden field; the server says what is missing
  for (const label of area.labels) label.addEventListener("click", () => view.focus());

  const replaceAll = (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
  area.addEventListener("bugle:set", (event) => replaceAll(event.detail));
  area.addEventListener("bugle:insert", (event) => {
    event.preventDefault(); // tells the sender that it is done
    view.dispatch(view.state.replaceSelection(event.detail));
    view.focus();
  });
  area.addEventListener("bugle:diagnostics", (event) => {
    view.dispatch(setDiagnostics(view.state, event.detail.map((found) => diagnostic(view.state, found))));
  });
  area.form?.addEventListener("reset", () => {
    setTimeout(() => { // by then the textarea has its old text again
      writing = true;
      replaceAll(area.value);
      writing = false;
    });
  });
});

// attributes describe the editor to assistive technology as the textarea would have been.
function attributes(area) {
  const attributes = { "aria-multiline": "true", tabindex: "0" };
  const labels = [...area.labels];
  labels.forEach((label, i) => (label.id ||= `${area.id || "editor"}-label-${i}`));
  if (labels.length > 0) attributes["aria-labelledby"] = labels.map((label) => label.id).join(" ");
  else if (area.getAttribute("aria-label")) attributes["aria-label"] = area.getAttribute("aria-label");
  for (const name of ["aria-describedby", "aria-invalid", "aria-errormessage"]) {
    if (area.hasAttribute(name)) attributes[name] = area.getAttribute(name);
  }
  if (area.required) attributes["aria-required"] = "true";
  if (area.readOnly || area.disabled) attributes["aria-readonly"] = "true";
  return attributes;
}

// diagnostic marks what stands at a line and column, both from 1: a word, or one character.
function diagnostic({ doc }, { line, column, message, severity }) {
  const at = doc.line(Math.min(Math.max(line, 1), doc.lines));
  let from = Math.min(at.from + Math.max(column, 1) - 1, at.to);
  const word = doc.sliceString(from, at.to).match(/^[\w.]+/)?.[0].length ?? 1;
  const to = Math.min(from + word, at.to);
  if (from === to && from > at.from) from--; // at the end of a line there is nothing to underline
  return { from, to, message, severity: severity ?? "error" };
}

const fetched = new Map(); // URL → promise of what can be completed

function names(url) {
  if (!fetched.has(url)) {
    const answer = fetch(url, { headers: { Accept: "application/json" } }).then((response) => {
      if (!response.ok) throw new Error(`completions: ${response.status}`);
      return response.json();
    });
    answer.catch(() => fetched.delete(url)); // to be tried again
    fetched.set(url, answer);
  }
  return fetched.get(url);
}

function completion(area) {
  const options = (list, type) => (list ?? []).map(({ label, detail, info }) => ({ label, detail, info, type }));

  return async (context) => {
    const mode = area.dataset.editor;
    let kind = "values";
    if (mode.startsWith("twig")) {
      const tag = tagAround(context.state.sliceDoc(Math.max(0, context.pos - 2_000), context.pos));
      if (tag === undefined) return null;
      if (/^%[-~]?\s*\w*$/.test(tag)) kind = "tags";
      else if (/(^|[^|])\|\s*\w*$/.test(tag)) kind = "filters";
    } else if (mode !== "condition") {
      return null;
    }
    const word = context.matchBefore(kind === "values" ? /[\w.]+/ : /\w+/);
    if (!word && !context.explicit && kind === "values") return null;
    let known;
    try {
      known = await names(area.dataset.editorComplete);
    } catch {
      return null;
    }
    const found = {
      values: () => [...options(known.fields, "property"), ...options(known.functions, "function")],
      filters: () => options(known.filters, "function"),
      tags: () => options(known.tags, "keyword"),
    }[kind]();
    return { from: word ? word.from : context.pos, options: found, validFor: /^[\w.]*$/ };
  };
}
