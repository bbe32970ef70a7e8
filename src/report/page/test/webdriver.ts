/** Drives WebKitGTK, which shares its engine with Safari, by WebDriver on a display of its own. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const PORT = 4499;

/** The result of a command, or its error. */
interface Answer {
  value: unknown;
}

/** A WebKit browser with one page. */
export class WebKit {
  private session = "";

  private constructor(private readonly processes: ChildProcess[]) {}

  /** Starts the browser. `display` is the number of an X display that nothing uses. */
  static async start(display: number): Promise<WebKit> {
    const binary = readdirSync("/usr/lib").map((name) => join("/usr/lib", name, "webkit2gtk-4.1/MiniBrowser")).find((path) => existsSync(path));
    if (binary === undefined) throw new Error("MiniBrowser is missing (package libwebkit2gtk-4.1-0)");
    const screen = spawn("Xvfb", [`:${display}`, "-screen", "0", "1400x1000x24"], { stdio: "ignore" });
    const env = { ...process.env, DISPLAY: `:${display}`, GDK_BACKEND: "x11", LIBGL_ALWAYS_SOFTWARE: "1" };
    const driver = spawn("WebKitWebDriver", [`--port=${PORT}`], { stdio: "ignore", env });
    const browser = new WebKit([driver, screen]);
    const options = { "webkitgtk:browserOptions": { binary, args: ["--automation"] } };
    for (let left = 40; ; left--) {
      try {
        const started = (await browser.send("POST", "/session", { capabilities: { alwaysMatch: options } })) as { sessionId: string };
        browser.session = `/session/${started.sessionId}`;
        return browser;
      } catch (error) {
        if (left === 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    }
  }

  private async send(method: string, path: string, body?: object): Promise<unknown> {
    const answer = await fetch(`http://127.0.0.1:${PORT}${path}`, { method, body: body && JSON.stringify(body) });
    const { value } = (await answer.json()) as Answer;
    if (!answer.ok) throw new Error(JSON.stringify(value));
    return value;
  }

  /** Opens an address. */
  async open(url: string): Promise<void> {
    await this.send("POST", `${this.session}/url`, { url });
  }

  /** Runs the body of a function in the page, and returns what it returns. */
  run(script: string, ...args: unknown[]): Promise<unknown> {
    return this.send("POST", `${this.session}/execute/sync`, { script, args });
  }

  /** Waits until an expression is true in the page. */
  async until(expression: string, seconds = 30): Promise<void> {
    for (const end = Date.now() + seconds * 1000; !(await this.run(`return Boolean(${expression})`)); ) {
      if (Date.now() > end) throw new Error(`in vain for ${expression}: ${String(await this.run("return document.body.innerText.slice(0, 2000)"))}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Ends the browser. */
  async end(): Promise<void> {
    await this.send("DELETE", this.session).catch(() => undefined);
    for (const process of this.processes) process.kill();
  }
}
