/** An error reply, as a value within another reply. */
export class RedisReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** A value as Redis sent it: texts as bytes. */
export type ReplyValue = null | number | Buffer | RedisReplyError | readonly ReplyValue[];

const list = 0x2a; // *
const bulk = 0x24; // $
const integer = 0x3a; // :
const simple = 0x2b; // +
const failure = 0x2d; // -
const carriageReturn = 0x0d;
const firstBytes = 64 * 1024;

/**
 * Puts the replies of one connection together from what its socket gives, each as one piece of bytes.
 *
 * It only looks for where a reply ends: who asked for the reply knows what is in it, and reads it from the bytes. A
 * Buffer for each field of each entry costs more than all the rest of reading a stream, and lives as long as its batch.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/ (RESP2)
 */
export class ReplyAssembler {
  #bytes: Buffer = Buffer.alloc(0);
  /** Of `#bytes`: where what was received ends, and where the values end that were seen whole. */
  #end = 0;
  #seen = 0;
  /** Values that are missing until the reply is whole: a list adds its length. */
  #missing = 1;
  /** The longest reply of late: room for another such one is made at once, not by doubling. */
  #expectedBytes = firstBytes;

  /** Takes bytes, and gives the replies that are whole by now. */
  push(chunk: Buffer): readonly Buffer[] {
    this.#append(chunk);
    const replies: Buffer[] = [];
    let from = 0;
    while (this.#see()) {
      const ofLate = Math.floor((this.#expectedBytes * 15) / 16);
      this.#expectedBytes = Math.max(firstBytes, this.#seen - from, ofLate);
      replies.push(this.#bytes.subarray(from, this.#seen));
      from = this.#seen;
      this.#missing = 1;
    }
    // What is given away is not written to any more.
    if (from > 0) {
      this.#bytes = Buffer.from(this.#bytes.subarray(from, this.#end));
      this.#end -= from;
      this.#seen -= from;
    }
    return replies;
  }

  #append(chunk: Buffer): void {
    const end = this.#end + chunk.length;
    if (this.#end === 0) {
      this.#bytes = chunk;
    } else {
      // What the socket gave is as long as it is, so its own bytes are never written behind.
      if (end > this.#bytes.length) this.#grow(end);
      chunk.copy(this.#bytes, this.#end);
    }
    this.#end = end;
  }

  #grow(least: number): void {
    const room = least <= this.#expectedBytes ? this.#expectedBytes : 2 * least;
    const larger = Buffer.allocUnsafeSlow(room);
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }

  /** Goes on to the end of the reply; false if that is not there yet. */
  #see(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    while (this.#missing > 0) {
      const lineEnd = lineEndAt(bytes, this.#seen, end);
      if (lineEnd === -1) return false;
      const type = bytes[this.#seen];
      let next = lineEnd + 2;
      if (type === list) {
        this.#missing += Math.max(0, integerIn(bytes, this.#seen + 1, lineEnd));
      } else if (type === bulk) {
        const length = integerIn(bytes, this.#seen + 1, lineEnd);
        if (length >= 0) next += length + 2;
        if (next > end) return false;
      }
      this.#missing -= 1;
      this.#seen = next;
    }
    return true;
  }
}

/** Goes through one whole reply, value by value. What is not what was asked for is thrown, without its content. */
export class ReplyCursor {
  readonly bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.#at = at;
  }

  /** Where the next value begins. */
  get at(): number {
    return this.#at;
  }

  /** The length of the list that begins here, whose values come next; undefined for null. */
  list(): number | undefined {
    this.#expect(list, 'a list');
    const length = this.#line();
    return length < 0 ? undefined : length;
  }

  /** A text of ASCII. */
  text(): string {
    const length = this.skipText();
    return this.bytes.toString('latin1', this.#at - 2 - length, this.#at - 2);
  }

  /** A text in bytes, a view of the reply's. */
  view(): Buffer {
    const length = this.skipText();
    return this.bytes.subarray(this.#at - 2 - length, this.#at - 2);
  }

  /** A text; in bytes if it is longer than `maxBytes`, or may be something else than UTF-8. */
  utf8(maxBytes: number): string | Buffer {
    const length = this.skipText();
    const to = this.#at - 2;
    const text = length > maxBytes ? undefined : this.bytes.toString('utf8', to - length, to);
    // What takes the place of bytes that are no UTF-8; it may as well have been sent.
    return text === undefined || text.includes('\uFFFD') ? this.bytes.subarray(to - length, to) : text;
  }

  /** Whether the text that begins here is this one, of fewer than 10 bytes; goes on nowhere. */
  isAt(text: Uint8Array): boolean {
    const { bytes } = this;
    let at = this.#at;
    if (bytes[at] !== bulk || bytes[at + 1] !== 0x30 + text.length || bytes[at + 2] !== carriageReturn)
      return false;
    at += 4;
    for (let index = 0; index < text.length; index += 1) if (bytes[at + index] !== text[index]) return false;
    return true;
  }

  /** Passes over a text; its length in bytes. */
  skipText(): number {
    this.#expect(bulk, 'a text');
    const length = this.#line();
    if (length < 0) throw unexpected('a text', 'null');
    this.#at += length + 2;
    return length;
  }

  /** Whatever comes next, with all that is in it. */
  value(): ReplyValue {
    switch (this.bytes[this.#at]) {
      case list: {
        const length = this.list();
        return length === undefined ? null : Array.from({ length }, () => this.value());
      }
      case bulk: {
        if (this.bytes[this.#at + 1] !== failure) return this.view();
        this.#line();
        return null;
      }
      case integer:
        return this.#line();
      case simple:
        return this.#word();
      case failure:
        return new RedisReplyError(this.#word().toString());
      default:
        throw unexpected('a reply', 'something else');
    }
  }

  #word(): Buffer {
    const from = this.#at + 1;
    const lineEnd = lineEndAt(this.bytes, from, this.bytes.length);
    this.#at = lineEnd + 2;
    return this.bytes.subarray(from, lineEnd);
  }

  /** The integer behind the type. */
  #line(): number {
    const { bytes } = this;
    const isNegative = bytes[this.#at + 1] === failure;
    let at = this.#at + (isNegative ? 2 : 1);
    let value = 0;
    for (; bytes[at] !== carriageReturn; at += 1) value = value * 10 + digitOf(bytes[at]);
    this.#at = at + 2;
    return isNegative ? -value : value;
  }

  #expect(type: number, wanted: string): void {
    const found = this.bytes[this.#at];
    if (found === failure) throw new RedisReplyError(this.#word().toString());
    if (found !== type) throw unexpected(wanted, nameOf(found));
  }
}

/** A command as Redis takes it. */
export function encodeCommand(command: string, args: readonly (string | number)[]): string {
  let text = `*${args.length + 1}\r\n$${Buffer.byteLength(command)}\r\n${command}\r\n`;
  for (const arg of args) {
    const word = String(arg);
    text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
  }
  return text;
}

// By hand: a call into native code for each of ten short lines of an entry takes longer than looking at their bytes.
function lineEndAt(bytes: Buffer, from: number, end: number): number {
  for (let at = from; at + 1 < end; at += 1) if (bytes[at] === carriageReturn) return at;
  return -1;
}

function integerIn(bytes: Buffer, from: number, to: number): number {
  const isNegative = bytes[from] === failure;
  let value = 0;
  for (let at = isNegative ? from + 1 : from; at < to; at += 1) value = value * 10 + digitOf(bytes[at]);
  return isNegative ? -value : value;
}

function digitOf(byte = 0): number {
  const digit = byte - 0x30;
  if (digit < 0 || digit > 9) throw unexpected('a number', 'something else');
  return digit;
}

function nameOf(type: number | undefined): string {
  switch (type) {
    case list:
      return 'a list';
    case bulk:
    case simple:
      return 'a text';
    case integer:
      return 'a number';
    default:
      return 'something else';
  }
}

function unexpected(wanted: string, got: string): Error {
  return new TypeError(`Redis answered ${got} where ${wanted} was expected`);
}
