// Serves the packed packages of a directory as an npm registry on this machine, to try them before they are published.
//
// Usage: node registry.mjs DIRECTORY COMMAND ARGUMENTS...
//
// Runs the command with npm_config_registry set, and ends with its exit code.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";

const [dir, ...command] = process.argv.slice(2);
const packages = new Map();
for (const file of readdirSync(dir).filter((file) => file.endsWith(".tgz"))) {
  const tarball = readFileSync(path.join(dir, file));
  const manifest = JSON.parse(execFileSync("tar", ["-xzOf", path.join(dir, file), "package/package.json"], { encoding: "utf8" }));
  packages.set(manifest.name, { file, manifest, tarball });
}

const server = createServer((request, response) => {
  const name = decodeURIComponent(request.url.slice(1).split("?")[0]);
  const served = [...packages.values()].find(({ file }) => name === `-/${file}`);
  if (served !== undefined) return response.end(served.tarball);
  const { file, manifest, tarball } = packages.get(name) ?? {};
  if (manifest === undefined) return response.writeHead(404).end("{}");
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  const dist = { tarball: `http://localhost:${server.address().port}/-/${file}`, integrity };
  const { version } = manifest;
  response.end(JSON.stringify({ name, "dist-tags": { latest: version }, versions: { [version]: { ...manifest, dist } } }));
});
server.listen(0, "localhost", () => {
  const registry = `http://localhost:${server.address().port}/`;
  const environment = { ...process.env, npm_config_registry: registry };
  const child = spawn(command[0], command.slice(1), { stdio: "inherit", env: environment });
  child.on("exit", (code) => process.exit(code ?? 1));
});
