/** Searches on several cores, in workers that run the script of the page itself. */

import { type Chunk, copyChunks } from "./chunks.ts";
import { discard, TextBuffer } from "./inflate.ts";
import { type Found, searchChunks, TextSearch } from "./search.ts";

const MAX_WORKERS = 4;
/** The number of jobs queued for each worker, so that it never waits for the page. */
const JOBS_PER_WORKER = 2;
const START_MS = 3000;
/** The idle time after which workers are terminated, which frees their memory. */
const IDLE_MS = 1000;
const SCRIPT = isWorker() ? undefined : globalThis.document?.currentScript?.textContent;

/** Returns true if this script runs in a worker. */
export function isWorker(): boolean {
  return typeof document === "undefined" && typeof importScripts === "function";
}

declare function importScripts(...urls: string[]): void;

interface Job {
  id: number;
  chunks: Chunk[];
  text: string;
}

/** The answer of a worker: its result, or the message that it started. */
type Answer = { id: number; found: Found } | { id: number; failure: string } | { isReady: true };

/** Answers the page. */
export function serveSearches() {
  const buffers: TextBuffer[] = [];
  const answer = (message: Answer) => postMessage(message);
  onmessage = async ({ data }: MessageEvent<Job>) => {
    const buffer = buffers.pop() ?? new TextBuffer();
    try {
      answer({ id: data.id, found: await searchChunks(data.chunks, new TextSearch(data.text), buffer) });
    } catch (error) {
      answer({ id: data.id, failure: String(error) });
    }
    buffers.push(buffer);
    const [{ at }] = data.chunks;
    if (at instanceof Uint8Array) discard(new Uint8Array(at.buffer));
  };
  answer({ isReady: true });
}

/** The error for a worker that can't be used. */
export class WorkerError extends Error {}

interface Pending {
  resolve: (found: Found) => void;
  reject: (error: WorkerError) => void;
}

/** The page's handle of a worker. */
class SearchWorker {
  readonly pending = new Map<number, Pending>();
  readonly isReady: Promise<boolean>;
  private readonly worker: Worker;
  private jobs = 0;

  constructor(url: string) {
    this.worker = new Worker(url);
    this.isReady = new Promise((resolve) => {
      const fail = (reason: string) => {
        resolve(false);
        this.worker.terminate();
        for (const { reject } of this.pending.values()) reject(new WorkerError(reason));
        this.pending.clear();
      };
      setTimeout(() => resolve(false), START_MS);
      this.worker.onerror = (event) => {
        event.preventDefault();
        fail(event.message);
      };
      this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
        if ("isReady" in data) return resolve(true);
        const job = this.pending.get(data.id);
        this.pending.delete(data.id);
        if ("found" in data) job?.resolve(data.found);
        else job?.reject(new WorkerError(data.failure));
      };
    });
  }

  end() {
    this.worker.terminate();
  }

  search(chunks: Chunk[], text: string): Promise<Found> {
    const id = this.jobs++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      const [{ at }] = chunks;
      this.worker.postMessage({ id, chunks, text } satisfies Job, at instanceof Uint8Array ? [at.buffer] : []);
    });
  }
}

/** Some workers. */
export class SearchWorkers {
  private constructor(private readonly workers: SearchWorker[]) {}

  /** The number of jobs that keep all workers busy. */
  get capacity(): number {
    return this.workers.length * JOBS_PER_WORKER;
  }

  /** Starts workers. Returns undefined where the browser allows none. */
  static async start(): Promise<SearchWorkers | undefined> {
    if (SCRIPT === undefined || SCRIPT === null || typeof Worker === "undefined") return undefined;
    const count = Math.max(1, Math.min(MAX_WORKERS, navigator.hardwareConcurrency || 1));
    const url = URL.createObjectURL(new Blob([SCRIPT], { type: "text/javascript" }));
    try {
      const workers = Array.from({ length: count }, () => new SearchWorker(url));
      const ready = await Promise.all(workers.map((worker) => worker.isReady));
      return ready.includes(false) ? undefined : new SearchWorkers(workers);
    } catch {
      return undefined;
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  /** Finds the rows of a group of chunks whose entry has the text. */
  async search(chunks: Chunk[], text: string): Promise<Found> {
    const copies = await copyChunks(chunks);
    const [idlest] = [...this.workers].sort((a, b) => a.pending.size - b.pending.size);
    return idlest.search(copies, text);
  }

  /** Ends the workers. */
  end() {
    for (const worker of this.workers) worker.end();
  }
}

let started: Promise<SearchWorkers | undefined> | undefined;
let users = 0;
let idle: ReturnType<typeof setTimeout> | undefined;

/** Calls `act` with workers, or with undefined if none can run. */
export async function withWorkers<T>(act: (workers: SearchWorkers | undefined) => Promise<T>): Promise<T> {
  clearTimeout(idle);
  users++;
  try {
    started ??= SearchWorkers.start();
    return await act(await started);
  } finally {
    if (--users === 0) idle = setTimeout(() => void endWorkers(), IDLE_MS);
  }
}

/** Starts workers in advance of a likely search. */
export function prepareWorkers() {
  void withWorkers(async () => undefined);
}

async function endWorkers() {
  const workers = await started;
  // Does not retry if workers cannot start.
  if (users > 0 || workers === undefined) return;
  started = undefined;
  workers.end();
}

/** Stops using workers, because one failed. */
export function giveUpWorkers() {
  void started?.then((workers) => workers?.end());
  started = Promise.resolve(undefined);
}
