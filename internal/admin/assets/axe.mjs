// Copies axe-core, which the browser tests look for faults of accessibility with, to where Go's tests find it.
// With --check nothing is written; it fails unless that is the version of package-lock.json.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const from = join(here, "node_modules/axe-core");
const to = join(here, "../../../cmd/bugle/testdata/axe");
const files = ["axe.min.js", "LICENSE", "LICENSE-3RD-PARTY.txt"];

if (process.argv.includes("--check")) {
  const wrong = files.filter((name) => !readFileSync(join(from, name)).equals(readFileSync(join(to, name))));
  for (const name of wrong) console.error(`cmd/bugle/testdata/axe/${name} is not that of the package; run: npm run axe`);
  process.exit(wrong.length > 0 ? 1 : 0);
}
mkdirSync(to, { recursive: true });
for (const name of files) writeFileSync(join(to, name), readFileSync(join(from, name)));
