/** Growing columns of numbers, and dictionaries of strings: a row costs bytes, not objects. */

type Numbers = Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** A typed array that grows. */
export class Column<T extends Numbers> {
  length = 0;

  constructor(
    private readonly make: (length: number) => T,
    private array: T = make(64),
  ) {}

  /** Appends a number. */
  push(value: number) {
    if (this.length === this.array.length) {
      const larger = this.make(this.length * 2);
      larger.set(this.array);
      this.array = larger;
    }
    this.array[this.length++] = value;
  }

  /** Returns the number at `index`. */
  get(index: number): number {
    return this.array[index];
  }

  /** Replaces the number at `index`. */
  set(index: number, value: number) {
    this.array[index] = value;
  }

  /** Returns the numbers. They share memory with the column. */
  values(): T {
    return this.array.subarray(0, this.length) as T;
  }
}

/** Returns an empty column of row numbers. */
export function rowColumn() {
  return new Column((length) => new Uint32Array(length));
}

/** Assigns small numbers to strings, from 1. 0 means no string, and the last number means any other string. */
export class Dictionary {
  private readonly codes = new Map<string, number>();
  private readonly names: string[] = [""];

  constructor(private readonly max: number) {}

  /** Returns the code of a string. */
  code(name: string | undefined): number {
    if (name === undefined || name === "") return 0;
    const known = this.codes.get(name);
    if (known !== undefined) return known;
    if (this.names.length > this.max) return this.max;
    if (this.names.length === this.max) name = "(others)";
    this.codes.set(name, this.names.length);
    return this.names.push(name) - 1;
  }

  /** Returns the code of a string, or -1 if it has none. */
  find(name: string): number {
    return this.codes.get(name) ?? -1;
  }

  /** Returns the string of a code. */
  name(code: number): string {
    return this.names[code];
  }

  /** Returns the codes, sorted by their strings. */
  sorted(): number[] {
    return this.names.map((_, code) => code).slice(1).sort((a, b) => (this.names[a] < this.names[b] ? -1 : 1));
  }
}

/** Returns row numbers sorted by a key, ascending or descending; those with NaN come last. Equal ones keep their order. */
export function sortByKey(rows: Uint32Array<ArrayBuffer>, key: Float64Array, isDescending: boolean): Uint32Array<ArrayBuffer> {
  const [lower, upper] = ranks(rows, key, isDescending);
  let from = Uint32Array.from(rows, (_, i) => i);
  for (const [words, shift] of [[lower, 0], [lower, 16], [upper, 0], [upper, 16]] as const) {
    const starts = new Uint32Array(65537);
    for (const word of words) starts[((word >>> shift) & 65535) + 1]++;
    if (starts.includes(rows.length)) continue;
    for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
    const to = new Uint32Array(rows.length);
    for (const i of from) to[starts[(words[i] >>> shift) & 65535]++] = i;
    from = to;
  }
  return from.map((i) => rows[i]);
}

/** Returns, for each row, the two halves of a number that increases with the sort key. */
function ranks(rows: Uint32Array<ArrayBuffer>, key: Float64Array, isDescending: boolean) {
  const lower = new Uint32Array(rows.length).fill(0xffffffff);
  const upper = lower.slice();
  const double = new DataView(new ArrayBuffer(8));
  for (let i = 0; i < rows.length; i++) {
    const value = key[rows[i]];
    if (Number.isNaN(value)) continue;
    double.setFloat64(0, value + 0); // -0 becomes 0
    const high = double.getUint32(0);
    // The bits of positive numbers grow with them, those of negative ones shrink.
    const isNegative = high >= 0x80000000;
    const turned = isNegative !== isDescending ? 0xffffffff : 0;
    upper[i] = high ^ turned ^ (isNegative ? 0 : 0x80000000);
    lower[i] = double.getUint32(4) ^ turned;
  }
  return [lower, upper] as const;
}
