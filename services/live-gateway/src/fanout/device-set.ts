/**
 * A set of seats (see `roster.ts`): a bit each, so that a client that is behind costs some 30 bytes for 200 devices, and
 * owing it what has changed costs an `or`. Words are signed 32-bit integers, which V8 keeps in an array without boxes.
 */
export class DeviceSet {
  #words: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(seat: number): boolean {
    return ((this.#words[seat >>> 5] ?? 0) & (1 << (seat & 31))) !== 0;
  }

  /** @returns false if it was there already. */
  add(seat: number): boolean {
    const at = seat >>> 5;
    while (this.#words.length <= at) this.#words.push(0);
    const word = this.#words[at] ?? 0;
    const bit = 1 << (seat & 31);
    if ((word & bit) !== 0) return false;
    this.#words[at] = word | bit;
    this.#size += 1;
    return true;
  }

  /** @returns false if it was not there. */
  delete(seat: number): boolean {
    if (!this.has(seat)) return false;
    const at = seat >>> 5;
    this.#words[at] = (this.#words[at] ?? 0) & ~(1 << (seat & 31));
    this.#size -= 1;
    return true;
  }

  /** @returns how many of them were there already. */
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

  /** The first member that is not below `seat`; -1 if there is none. */
  next(seat: number): number {
    let at = seat >>> 5;
    let word = (this.#words[at] ?? 0) & (-1 << (seat & 31));
    while (word === 0) {
      at += 1;
      if (at >= this.#words.length) return -1;
      word = this.#words[at] ?? 0;
    }
    return at * 32 + 31 - Math.clz32(word & -word);
  }

  /** All members in ascending order; what is added or deleted meanwhile may be met or not. */
  *[Symbol.iterator](): Generator<number, void, void> {
    for (let seat = this.next(0); seat >= 0; seat = this.next(seat + 1)) yield seat;
  }
}

function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55_55_55_55);
  bits = (bits & 0x33_33_33_33) + ((bits >>> 2) & 0x33_33_33_33);
  return (((bits + (bits >>> 4)) & 0x0f_0f_0f_0f) * 0x01_01_01_01) >>> 24;
}
