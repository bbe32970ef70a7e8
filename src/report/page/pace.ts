/** Runs long work in slices: it pauses often, so that the page stays usable, and stops when cancelled. */

/** Thrown by work that was cancelled. */
export class Cancelled extends Error {}

const SLICE_MS = 12;

/** The pace of one piece of work. */
export class Pace {
  private until = performance.now() + SLICE_MS;
  private isCancelled = false;

  /** Stops the work at its next pause. */
  cancel() {
    this.isCancelled = true;
  }

  /** Lets the page react if the slice is over. */
  async rest(): Promise<void> {
    if (this.isCancelled) throw new Cancelled();
    if (performance.now() < this.until) return;
    await nextTask();
    if (this.isCancelled) throw new Cancelled();
    this.until = performance.now() + SLICE_MS;
  }
}

const waiting: (() => void)[] = [];
const channel = new MessageChannel();
channel.port1.onmessage = () => waiting.shift()?.();

/** Lets a program that is not a page exit. */
export function closePace() {
  channel.port1.close();
}

/** Returns once the browser has handled its pending events. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(0);
  });
}
