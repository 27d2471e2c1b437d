/**
 * A set of device indexes (see `device-index.ts`), one bit each: a client that lags costs about 30 bytes for 200
 * devices, and adding a group's changes to it is a bitwise OR. Words are signed 32-bit integers, which V8 stores in an
 * array without boxing.
 */
export class DeviceSet {
  #words: number[] = [];
  #size = 0;

  /** Creates a set with the same members. */
  static from(other: DeviceSet): DeviceSet {
    const copy = new DeviceSet();
    copy.addAll(other);
    return copy;
  }

  get size(): number {
    return this.#size;
  }

  has(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0;
  }

  /** @returns false if the index was already in the set. */
  add(index: number): boolean {
    const wordIndex = index >>> 5;
    while (this.#words.length <= wordIndex) this.#words.push(0);
    const word = this.#words[wordIndex] ?? 0;
    const bit = 1 << (index & 31);
    if ((word & bit) !== 0) return false;
    this.#words[wordIndex] = word | bit;
    this.#size += 1;
    return true;
  }

  /** @returns false if the index was not in the set. */
  delete(index: number): boolean {
    if (!this.has(index)) return false;
    const wordIndex = index >>> 5;
    this.#words[wordIndex] = (this.#words[wordIndex] ?? 0) & ~(1 << (index & 31));
    this.#size -= 1;
    return true;
  }

  /** @returns how many of the other set's members were already in this one. */
  addAll(other: DeviceSet): number {
    let added = 0;
    for (let wordIndex = 0; wordIndex < other.#words.length; wordIndex += 1) {
      const word = this.#words[wordIndex] ?? 0;
      const newBits = (other.#words[wordIndex] ?? 0) & ~word;
      this.#words[wordIndex] = word | newBits;
      added += countBits(newBits);
    }
    this.#size += added;
    return other.#size - added;
  }

  /** The first member at or after `index`; -1 if there is none. */
  next(index: number): number {
    let wordIndex = index >>> 5;
    let word = (this.#words[wordIndex] ?? 0) & (-1 << (index & 31));
    while (word === 0) {
      wordIndex += 1;
      if (wordIndex >= this.#words.length) return -1;
      word = this.#words[wordIndex] ?? 0;
    }
    return wordIndex * 32 + 31 - Math.clz32(word & -word);
  }

  /** All members in ascending order. Members added or deleted during the iteration may or may not be visited. */
  *[Symbol.iterator](): Generator<number, void, void> {
    for (let index = this.next(0); index >= 0; index = this.next(index + 1)) yield index;
  }
}

function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55_55_55_55);
  bits = (bits & 0x33_33_33_33) + ((bits >>> 2) & 0x33_33_33_33);
  return (((bits + (bits >>> 4)) & 0x0f_0f_0f_0f) * 0x01_01_01_01) >>> 24;
}
