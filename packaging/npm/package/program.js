// Finds the program of this system, which is in a package of its own.
import { createRequire } from "node:module";

const name = `@patchwork-traces/${process.platform}-${process.arch}`;

/** Returns the path of the program. */
export function program() {
  try {
    return createRequire(import.meta.url).resolve(`${name}/bin/patchwork-traces`);
  } catch {
    throw new Error(
      `the package ${name}, which has the program for this system, is not installed
  hint: install patchwork-traces again, without --omit=optional or --no-optional; where that package does not exist, install
        Rust and run \`cargo install --locked patchwork-traces\``,
    );
  }
}
