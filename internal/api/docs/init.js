// Shows the document of the server that this page comes from. A key that is entered stays on the page.
// Resources name their relations here, rather than spell them out: spelled out, every one would hold
// all others, which takes the page many seconds to follow.
const spec = new URL("spec.json", document.baseURI).href;

function named(at) {
  if (Array.isArray(at)) return at.map(named);
  if (at === null || typeof at !== "object") return at;
  const name = typeof at.$ref === "string" && at.$ref.match(/\/schemas\/(\w+Resource)$/);
  if (name) return { type: "object", title: name[1] };
  return Object.fromEntries(Object.entries(at).map(([key, value]) => [key, named(value)]));
}

fetch(spec).then((answer) => answer.json()).then((content) => {
  const schemas = content.components.schemas;
  for (const name of Object.keys(schemas)) schemas[name] = named(schemas[name]);
  SwaggerUIBundle({
    spec: content,
    dom_id: "#docs",
    docExpansion: "none",
    filter: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: -1,
    syntaxHighlight: false,
    validatorUrl: null,
  });
});
