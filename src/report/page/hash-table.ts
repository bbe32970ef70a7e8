/** Numbers for byte strings, by a 64-bit hash: 600,000 ids take 20 MB as strings would take 100. */

const [SEED_A, SEED_B] = crypto.getRandomValues(new Int32Array(2));

/** A table from byte strings to numbers. Its hash has a random seed, so that collisions cannot be prepared. */
export class HashTable {
  private first = new Int32Array(1024);
  private second = new Int32Array(1024);
  /** Values plus one; 0 is a free slot. */
  private values = new Int32Array(1024);
  private used = 0;

  /** Returns the number of a byte string. If it has none, gives it `next`, unless that is -1. */
  find(bytes: Uint8Array, at: number, end: number, next: number): number {
    let a = SEED_A;
    let b = SEED_B;
    for (let i = at; i < end; i++) {
      a = Math.imul(a ^ bytes[i], 0x85ebca6b);
      b = Math.imul((b << 5) ^ (b >>> 27) ^ bytes[i], 0xc2b2ae35);
      a ^= a >>> 13;
    }
    const slot = this.slot(a ^ (b >>> 16), b ^ (a >>> 15));
    if (this.values[slot] !== 0) return this.values[slot] - 1;
    if (next === -1) return -1;
    [this.first[slot], this.second[slot], this.values[slot]] = [a ^ (b >>> 16), b ^ (a >>> 15), next + 1];
    if (++this.used * 2 > this.values.length) this.grow();
    return next;
  }

  private slot(first: number, second: number): number {
    const mask = this.values.length - 1;
    let slot = (first ^ Math.imul(second, 0x9e3779b1)) & mask;
    while (this.values[slot] !== 0 && (this.first[slot] !== first || this.second[slot] !== second)) slot = (slot + 1) & mask;
    return slot;
  }

  private grow() {
    const { first, second, values } = this;
    const length = values.length * 2;
    [this.first, this.second, this.values] = [new Int32Array(length), new Int32Array(length), new Int32Array(length)];
    for (let i = 0; i < values.length; i++) {
      if (values[i] === 0) continue;
      const slot = this.slot(first[i], second[i]);
      [this.first[slot], this.second[slot], this.values[slot]] = [first[i], second[i], values[i]];
    }
  }
}
