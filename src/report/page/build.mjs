// Builds ../page.html: one file with the script and the style inline, and a policy that names their hashes.
//
// node build.mjs [--check | --tests]
//   --check  compares with the committed page instead of writing it
//   --tests  bundles the tests into out/ instead

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const here = (path) => new URL(path, import.meta.url);
const options = { bundle: true, charset: "utf8", legalComments: "none", logLevel: "warning" };

if (process.argv.includes("--tests")) {
  await build({
    ...options,
    absWorkingDir: here(".").pathname,
    entryPoints: ["test/unit.test.ts", "test/contract.test.ts", "test/browser.test.ts", "test/webkit.test.ts", "test/bench.ts"],
    outdir: "out",
    outExtension: { ".js": ".mjs" },
    platform: "node",
    format: "esm",
    packages: "external",
  });
} else {
  const page = await makePage();
  const file = here("../page.html");
  if (!process.argv.includes("--check")) await writeFile(file, page);
  else if ((await readFile(file, "utf8")) !== page) {
    console.error("src/report/page.html is not what its sources give: run `npm run build` in src/report/page/");
    process.exit(1);
  }
}

async function makePage() {
  const output = async (entry) => {
    const built = await build({
      ...options,
      absWorkingDir: here(".").pathname,
      entryPoints: [entry],
      minify: true,
      format: "iife",
      target: ["chrome110", "firefox115", "safari16.4"],
      write: false,
    });
    return built.outputFiles[0].text.trim();
  };
  const [script, style, html] = await Promise.all([output("main.ts"), output("style.css"), readFile(here("index.html"), "utf8")]);
  if (/<\/(script|style)|<!--/i.test(script + style)) throw new Error("the script or the style would end its own element");
  const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  // A worker is made of the script itself, and inherits the policy.
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; worker-src blob:; base-uri 'none'; form-action 'none'`;
  const parts = { CSP: policy, STYLE: style, SCRIPT: script };
  return html.replace(/@(CSP|STYLE|SCRIPT)@/g, (_, name) => parts[name]);
}
