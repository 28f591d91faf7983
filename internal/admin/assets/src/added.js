// each calls fn for every element that matches selector, now and whenever one is added to the
// page later, whatever adds it: htmx, a stream, or one of our scripts.
export function each(selector, fn) {
  watched.push({ selector, fn, seen: new WeakSet() });
  if (document.body) visit(document.body, watched.at(-1));
}

const watched = [];

function visit(root, { selector, fn, seen }) {
  const found = [...root.querySelectorAll(selector)];
  if (root.matches(selector)) found.unshift(root);
  for (const element of found) {
    if (seen.has(element)) continue;
    seen.add(element);
    fn(element);
  }
}

new MutationObserver((records) => {
  for (const record of records) {
    for (const node of record.addedNodes) {
      if (node.nodeType !== Node.ELEMENT_NODE || !node.isConnected) continue;
      for (const watch of watched) visit(node, watch);
    }
  }
}).observe(document.documentElement, { childList: true, subtree: true });
