// Colours for the template language and the condition language, in CodeMirror's stream parser.
import { StreamLanguage } from "@codemirror/language";

const twigWords = new Set(("and or not xor in is matches starts ends with has some every b-and b-or b-xor as only from " +
  "import ignore missing if else defined empty null none odd even iterable same divisible by").split(" "));
const conditionWords = new Set("and or not xor in matches contains starts ends with".split(" "));
const constants = new Set(["true", "false", "null", "none", "TRUE", "FALSE", "NULL"]);

// expression reads one token of an expression. before is the last sign read: after "|" stands a
// filter, after "." a property.
function expression(stream, state, words) {
  if (stream.eatSpace()) return null;
  const before = state.before;
  state.before = "";
  if (stream.match(/^"(?:[^"\\]|\\.)*"?/) || stream.match(/^'(?:[^'\\]|\\.)*'?/)) return "string";
  if (stream.match(/^\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/)) return "number";
  if (stream.match(/^(?:b-and|b-or|b-xor)\b/)) return "keyword";
  const word = stream.match(/^[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*/)?.[0];
  if (word) {
    if (before === "|") return "macroName";
    if (before === ".") return "propertyName";
    if (constants.has(word)) return "bool";
    if (words.has(word)) return "keyword";
    return stream.match(/^\s*\(/, false) ? "macroName" : "variableName";
  }
  if (stream.match(/^(?:\|\||\.\.)/)) return "operator"; // neither a filter nor a property follows
  const sign = stream.next();
  if (sign === "|" || sign === ".") state.before = sign;
  return /[()[\]{},:]/.test(sign) ? "punctuation" : "operator";
}

export const condition = StreamLanguage.define({
  name: "condition",
  startState: () => ({ before: "" }),
  token: (stream, state) => expression(stream, state, conditionWords),
  languageData: { closeBrackets: { brackets: ["(", "[", "{", '"', "'"] } },
});

// around reads one token of the text around a template's tags.
const around = {
  html(stream) {
    if (stream.match(/^<\/?[A-Za-z][\w-]*/) || stream.match(/^\/?>/)) return "typeName";
    stream.next();
    stream.eatWhile(/[^{<>]/);
    return null;
  },
  json(stream, state) {
    if (state.string) {
      if (stream.match(/^(?:[^"\\{]|\\.|\{(?![{%#]))+/)) return "string";
      if (stream.next() === '"') state.string = false;
      return "string";
    }
    if (stream.eatSpace()) return null;
    if (stream.match(/^"(?:[^"\\{]|\\.|\{(?![{%#]))*"(?=\s*:)/)) return "propertyName";
    if (stream.match(/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/)) return "number";
    if (stream.match(/^(?:true|false|null)\b/)) return "bool";
    if (stream.next() === '"') {
      state.string = true;
      return "string";
    }
    return "punctuation";
  },
};

function template(name, readAround) {
  return StreamLanguage.define({
    name,
    // inside is "" in the text, or the sign that a tag began with.
    startState: () => ({ inside: "", before: "", first: false, string: false }),
    token(stream, state) {
      if (state.inside === "#") {
        if (stream.skipTo("#}")) state.inside = (stream.match("#}"), "");
        else stream.skipToEnd();
        return "comment";
      }
      if (state.inside) {
        if (stream.match(state.inside === "{" ? /^[-~]?\}\}/ : /^[-~]?%\}/)) {
          state.inside = "";
          return "meta";
        }
        if (stream.eatSpace()) return null;
        if (state.first) {
          state.first = false;
          if (stream.match(/^\w+/)) return "keyword";
        }
        return expression(stream, state, twigWords);
      }
      const open = stream.match(/^\{([{%#])[-~]?/);
      if (!open) return readAround(stream, state);
      state.inside = open[1];
      state.first = open[1] === "%";
      state.before = "";
      return open[1] === "#" ? "comment" : "meta";
    },
    languageData: {
      commentTokens: { block: { open: "{#", close: "#}" } },
      closeBrackets: { brackets: ["(", "[", "{", '"', "'"] },
    },
  });
}

export const twig = template("twig", around.html);
export const twigJSON = template("twig-json", around.json);

// tagAround returns what stands between the start of the template tag that the end of text is in
// and that end, with the tag's sign in front ("{ model.na", "% if "), or undefined in the text.
export function tagAround(text) {
  const start = Math.max(text.lastIndexOf("{{"), text.lastIndexOf("{%"));
  if (start < 0) return undefined;
  const tag = text.slice(start + 1);
  return /[%}]\}/.test(tag) ? undefined : tag;
}
