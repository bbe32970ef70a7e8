#!/usr/bin/env node
// Starts the program of this system, and ends as it ends.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { isatty } from "node:tty";
import { program } from "../program.js";

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

function start() {
  try {
    return spawn(program(), process.argv.slice(2), { stdio: "inherit" });
  } catch (error) {
    return fail(error.message);
  }
}

const child = start();
child.on("error", (error) => fail(`cannot start ${child.spawnfile}: ${error.message}`));
// A terminal sends Ctrl-C to both processes, and a second one would end the program at once.
const isInTerminal = [0, 1, 2].some(isatty);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => signal === "SIGINT" && isInTerminal ? undefined : child.kill(signal));
}
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
