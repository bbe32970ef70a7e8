// Writes the types of the npm package from the JSON Schemas of `--json`.
//
// Usage: node types.mjs SCHEMAS OUT
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { compile } from "json-schema-to-typescript";

const [schemas, out] = process.argv.slice(2);

/** Schemas of other things than the one object that a command prints. */
const OTHERS = new Set(["cat", "error", "manifest", "row"]);

function namespace(name) {
  return name.replace(/(?:^|-)(.)/g, (_, letter) => letter.toUpperCase());
}

const files = (await readdir(schemas)).filter((file) => file.endsWith(".schema.json")).sort();
const names = files.map((file) => file.replace(".schema.json", "")).filter((name) => !OTHERS.has(name));
const types = [];
const outputs = new Map();
for (const name of names) {
  const schema = JSON.parse(await readFile(path.join(schemas, `${name}.schema.json`), "utf8"));
  const options = { bannerComment: "", additionalProperties: false, printWidth: 110, maxItems: -1 };
  const text = await compile({ ...schema, title: "Output" }, "Output", options);
  // Types of the same name are in several schemas.
  types.push(`export namespace ${namespace(name)} {\n${text.trimEnd().replace(/^(?=.)/gm, "  ")}\n}\n`);
  // Other outputs of a command are named `inspect-history`.
  const [command] = name.split("-");
  outputs.set(command, [...(outputs.get(command) ?? []), `${namespace(name)}.Output`]);
}
const entries = [...outputs].map(([command, types]) => `  ${command}: ${types.join(" | ")};`);
await writeFile(
  path.join(out, "index.d.ts"),
  `// Made from the JSON Schemas of the program.
import type { ExecFileOptions } from "node:child_process";

${types.join("\n")}
/** What the commands print with --json. */
export interface Outputs {
${entries.join("\n")}
}

/** The error of a command that failed. */
export interface RunError extends Error {
  /** The exit code; a text if the program could not be started. */
  exitCode?: number | string | null;
  stdout?: string;
  stderr?: string;
}

/**
 * Runs a command with --json and returns the object that it prints.
 *
 * Rejects with a {@link RunError} if the command fails, or prints anything else than one JSON object. With exit code 3, the command is done, but its result needs a person.
 */
export function run<C extends keyof Outputs>(
  args: readonly [C, ...string[]],
  options?: ExecFileOptions,
): Promise<Outputs[C]>;
export function run(args: readonly string[], options?: ExecFileOptions): Promise<unknown>;

/** Returns the path of the program. Throws if the package of this system is not installed. */
export function program(): string;
`,
);
