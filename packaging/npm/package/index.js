import { execFile } from "node:child_process";
import { program } from "./program.js";

export { program };

export function run(args, options) {
  return new Promise((resolve, reject) => {
    const child = execFile(program(), ["--json", ...args], { maxBuffer: Infinity, ...options }, (error, stdout, stderr) => {
      const fail = (message) => reject(Object.assign(new Error(message), { exitCode: error?.code ?? 0, stdout, stderr }));
      // 3: done, but the result needs a person, and says why.
      if (error !== null && error.code !== 3) return fail(stderr.trim() || error.message);
      try {
        resolve(JSON.parse(stdout));
      } catch {
        fail("the command did not print one JSON object");
      }
    });
    // Nobody could write to it.
    child.stdin?.end();
  });
}
