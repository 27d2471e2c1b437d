/**
 * A bit set of device indexes (see `device-index.ts`): a client that is catching up costs some 30 bytes for 200 devices,
 * and adding changed devices costs an `or`. Words are signed 32-bit integers, which V8 stores in an array unboxed.
 */
export class DeviceSet {
  #words: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0;
  }

  /** @returns false if it was in the set already. */
  add(index: number): boolean {
    const at = index >>> 5;
    while (this.#words.length <= at) this.#words.push(0);
    const word = this.#words[at] ?? 0;
    const bit = 1 << (index & 31);
    if ((word & bit) !== 0) return false;
    this.#words[at] = word | bit;
    this.#size += 1;
    return true;
  }

  /** @returns false if it was not in the set. */
  delete(index: number): boolean {
    if (!this.has(index)) return false;
    const at = index >>> 5;
    this.#words[at] = (this.#words[at] ?? 0) & ~(1 << (index & 31));
    this.#size -= 1;
    return true;
  }

  /** @returns how many of them were in the set already. */
  addAll(others: DeviceSet): number {
    let added = 0;
    for (let at = 0; at < others.#words.length; at += 1) {
      const word = this.#words[at] ?? 0;
      const more = (others.#words[at] ?? 0) & ~word;
      this.#words[at] = word | more;
      added += countBits(more);
    }
    this.#size += added;
    return others.#size - added;
  }

  /** The smallest member not below `index`, or -1. */
  next(index: number): number {
    let at = index >>> 5;
    let word = (this.#words[at] ?? 0) & (-1 << (index & 31));
    while (word === 0) {
      at += 1;
      if (at >= this.#words.length) return -1;
      word = this.#words[at] ?? 0;
    }
    return at * 32 + 31 - Math.clz32(word & -word);
  }

  /** All members in ascending order; members added or deleted during the iteration may be included or not. */
  *[Symbol.iterator](): Generator<number, void, void> {
    for (let index = this.next(0); index >= 0; index = this.next(index + 1)) yield index;
  }
}

function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55_55_55_55);
  bits = (bits & 0x33_33_33_33) + ((bits >>> 2) & 0x33_33_33_33);
  return (((bits + (bits >>> 4)) & 0x0f_0f_0f_0f) * 0x01_01_01_01) >>> 24;
}
