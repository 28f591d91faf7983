// Builds src and the packages of package-lock.json into dist: each file under a name with the
// hash of its content, manifest.json, which maps the plain names to those, and LICENSES.txt.
// With --check nothing is written; it fails unless dist is what the sources give.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const read = (...path) => readFileSync(join(here, ...path), "utf8");
process.chdir(here);

const bundles = {
  "admin.css": "src/all.css",
  "admin.js": "src/admin.js",
  "theme.js": "src/theme-head.js",
  "chart.js": "src/chart.js",
  "editor.js": "src/editor.js",
};

const files = new Map(); // plain name → content
const packages = new Set(["@tabler/icons"]); // those that a bundle took something from

for (const [name, entry] of Object.entries(bundles)) {
  const result = await esbuild.build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: name.endsWith(".js") ? "iife" : undefined,
    target: name.endsWith(".js") ? "es2022" : undefined,
    legalComments: "none", // LICENSES.txt has them in full
    charset: "utf8",
    logLevel: "warning",
    logOverride: { "direct-eval": "silent" }, // htmx has one, and allowEval keeps it from being reached
  });
  files.set(name, result.outputFiles[0].text);
  for (const input of Object.keys(result.metafile.inputs)) {
    const from = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (from) packages.add(from[1]);
  }
}
files.set("icons.svg", sprite(read("src/icons.txt").trim().split(/\s+/)));
files.set("favicon.svg", read("src/favicon.svg"));

const dist = new Map(); // name in dist → content
const manifest = {};
for (const [name, content] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8);
  manifest[name] = name.replace(extname(name), `.${hash}$&`);
  dist.set(manifest[name], content);
}
dist.set("manifest.json", JSON.stringify(manifest, null, 2) + "\n");
dist.set("LICENSES.txt", [...packages].sort().map(licence).join("\n" + "-".repeat(78) + "\n\n"));

if (process.argv.includes("--check")) {
  const found = new Set(existsSync("dist") ? readdirSync("dist") : []);
  const wrong = [...dist].filter(([name, content]) => !found.delete(name) || read("dist", name) !== content);
  for (const [name] of wrong) console.error(`dist/${name} is not what the sources give`);
  for (const name of found) console.error(`dist/${name} does not come from the sources`);
  if (wrong.length + found.size > 0) {
    console.error("run: npm run build");
    process.exit(1);
  }
} else {
  rmSync("dist", { recursive: true, force: true });
  mkdirSync("dist");
  for (const [name, content] of dist) writeFileSync(join("dist", name), content);
}

// sprite puts icons into one file, a symbol each. The line width stays with the page's style.
function sprite(names) {
  const symbols = [...new Set(names)].sort().map((name) => {
    const svg = read("node_modules/@tabler/icons/icons/outline", `${name}.svg`);
    const shapes = svg
      .replace(/<!--[^]*?-->|<\/?svg[^>]*>/g, "")
      .replace(/<path stroke="none" d="M0 0h24v24H0z" fill="none" \/>/, "")
      .replace(/\s+/g, " ")
      .replace(/> </g, "><")
      .replace(/ \/>/g, "/>")
      .trim();
    return `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" ` +
      `stroke-linecap="round" stroke-linejoin="round">${shapes}</symbol>\n`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("")}</svg>\n`;
}

// licence returns the name, version and licence text of a package.
function licence(name) {
  const folder = join("node_modules", name);
  const { version } = JSON.parse(read(folder, "package.json"));
  const file = readdirSync(folder).find((f) => /^licen[cs]e(\.|$)/i.test(f));
  const text = file ? read(folder, file) : read("src/licenses", name.replace("/", "-") + ".txt");
  return `${name} ${version}\n\n${text.trim()}\n`;
}
