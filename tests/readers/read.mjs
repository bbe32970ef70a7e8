// Counts the rows of a bundle with Node: read.mjs zlib|readline BUNDLE
// Prints one log a line, sorted: source, file, rows, and the sum of the rows' "id".
import { createReadStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createGunzip, gunzipSync } from "node:zlib";

const [way, bundle] = process.argv.slice(2);

/** The whole text at once, cut at line feeds. */
function linesByZlib() {
  return gunzipSync(readFileSync(bundle)).toString("utf8").replace(/\n$/, "").split("\n");
}

/** As Patchwork's own importer reads: a line ends wherever readline thinks it does. */
function linesByReadline() {
  return createInterface({ input: createReadStream(bundle).pipe(createGunzip()), crlfDelay: Infinity });
}

async function main() {
  const counts = new Map();
  let manifest;
  for await (const line of way === "readline" ? linesByReadline() : linesByZlib()) {
    const row = JSON.parse(line);
    if (manifest === undefined) {
      manifest = row;
      if (manifest.type !== "manifest" || manifest.version !== 1) throw new Error("the first line is no manifest");
      continue;
    }
    const name = `${row.source}\t${row.file === undefined ? `${row.source}.jsonl` : row.file}`;
    const [rows, ids] = counts.get(name) || [0, 0];
    const isObject = row.entry !== null && typeof row.entry === "object" && !Array.isArray(row.entry);
    counts.set(name, [rows + 1, ids + ((isObject && row.entry.id) || 0)]);
  }
  console.log([...counts].map(([name, [rows, ids]]) => `${name}\t${rows}\t${ids}`).sort().join("\n"));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
