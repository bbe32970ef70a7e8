import { execFile } from "node:child_process";
import { program } from "./program.js";

export { program };

export function run(args, options) {
  return new Promise((resolve, reject) => {
    execFile(program(), [...args, "--json"], { maxBuffer: Infinity, ...options }, (error, stdout, stderr) => {
      // 3: done, but the result needs a person, and says why.
      if (error === null || error.code === 3) return resolve(JSON.parse(stdout));
      reject(Object.assign(new Error(stderr.trim() || error.message), { exitCode: error.code, stdout, stderr }));
    });
  });
}
