/** A set of non-negative integers, one bit each: a hundred million take 12 MB. */
export class NumberSet {
  #bits = new Uint8Array(1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(n: number): boolean {
    return ((this.#bits[n >> 3] ?? 0) & (1 << (n & 7))) !== 0;
  }

  /** Returns false if the set had it already. */
  add(n: number): boolean {
    if (this.has(n)) return false;
    const at = n >> 3;
    if (at >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(at + 1, 2 * this.#bits.length));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    this.#bits[at] = (this.#bits[at] ?? 0) | (1 << (n & 7));
    this.#size += 1;
    return true;
  }
}
