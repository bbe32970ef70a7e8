/** Inflates with the browser's own decompressor, and frees the memory of consumed data at once. */

const READ_BYTES = 4 << 20;
/** The number of bytes that are inflated at once. A hostile piece of this size inflates to at most 66 MB. */
const PIECE_BYTES = 64 << 10;
const LAST_BLOCK = new Uint8Array([3, 0]);
const drain = new MessageChannel();
drain.port2.close();

/** Frees bytes that nothing needs any more. Browsers notice garbage of this kind late, so that hundreds of megabytes would pile up. */
export function discard(bytes: Uint8Array<ArrayBuffer>) {
  // The memory of data that is sent to a closed port is freed.
  if (bytes.length > 0 && bytes.length === bytes.buffer.byteLength) drain.port1.postMessage(0, [bytes.buffer]);
}

/** Receives a part of a text, which is freed afterwards. Returns false to stop. */
type PartVisitor = (part: Uint8Array) => boolean | Promise<boolean>;

/** Data that can't be read: a file that was moved or changed since it was opened. */
export class UnreadableError extends Error {}

/** Deflate blocks, in a file or in parts in memory. */
export type Deflated = Blob | Uint8Array<ArrayBuffer>[];

/** Inflates deflate blocks, none of which is the last. Returns true if they inflate completely, and no part stopped it. */
async function inflate(data: Deflated, take: PartVisitor): Promise<boolean> {
  const stream = new DecompressionStream("deflate-raw");
  const reader = stream.readable.getReader() as ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  const written = write(data, stream.writable.getWriter());
  written.catch(() => undefined);
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: null }));
      if (value === null) {
        await written;
        return false;
      }
      if (done || value === undefined) break;
      const isWanted = await take(value);
      discard(value);
      if (!isWanted) return false;
    }
    const last = await written;
    if (data instanceof Blob) discard(last);
    return true;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** Writes data into a decompressor, and returns the last piece of it. If it can't be inflated, reading from the decompressor fails. */
async function write(data: Deflated, writer: WritableStreamDefaultWriter<BufferSource>): Promise<Uint8Array<ArrayBuffer>> {
  let bytes = new Uint8Array(0);
  try {
    for await (bytes of data instanceof Blob ? blocks(data) : data) {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) await writer.write(bytes.subarray(at, at + PIECE_BYTES));
    }
    await writer.write(LAST_BLOCK);
    await writer.close();
  } catch (error) {
    writer.abort(error).catch(() => undefined);
    if (error instanceof UnreadableError) throw error;
  }
  return bytes;
}

/** Reads a file block by block. */
async function* blocks(data: Blob): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let start = 0; start < data.size; start += READ_BYTES) yield await readAll(data.slice(start, start + READ_BYTES));
}

/** Reads all of a blob. */
export async function readAll(data: Blob): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await data.arrayBuffer());
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new UnreadableError(`the file can't be read any more; was it moved or changed? Open it again (${detail.replace(/\.$/, "")})`);
  }
}

/** A buffer for successive texts, so that reading all of them leaves no garbage. */
export class TextBuffer {
  private bytes = new Uint8Array(0);

  /** Returns at least `length` bytes. */
  take(length: number): Uint8Array<ArrayBuffer> {
    // The next text may be a little longer, but there may be no other.
    if (this.bytes.length < length) this.bytes = new Uint8Array(this.bytes.length === 0 ? length : length + (length >> 2));
    return this.bytes;
  }
}

/**
 * Inflates consecutive texts of known lengths, one after the other into `buffer`, and calls `visit` with the index and the
 * bytes of each until it returns false. Returns true if there were exactly these texts.
 */
export async function inflateTexts(
  data: Deflated,
  lengths: number[],
  buffer: TextBuffer,
  visit: (index: number, bytes: Uint8Array<ArrayBuffer>) => boolean | Promise<boolean>,
): Promise<boolean> {
  const bytes = buffer.take(Math.max(...lengths));
  let [index, filled] = [0, 0];
  const isWhole = await inflate(data, async (part) => {
    for (let from = 0; from < part.length; ) {
      if (index === lengths.length) return false;
      const until = Math.min(part.length, from + lengths[index] - filled);
      bytes.set(part.subarray(from, until), filled);
      filled += until - from;
      from = until;
      if (filled < lengths[index]) break;
      if (!(await visit(index, bytes.subarray(0, filled)))) return false;
      [index, filled] = [index + 1, 0];
    }
    return true;
  });
  return isWhole && index === lengths.length;
}
