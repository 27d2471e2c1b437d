/** An error reply, as a value within another reply. */
export class RedisReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** A reply value; strings are bytes. */
export type ReplyValue = null | number | Buffer | RedisReplyError | readonly ReplyValue[];

const list = 0x2a; // *
const bulk = 0x24; // $
const integer = 0x3a; // :
const simple = 0x2b; // +
const failure = 0x2d; // -
const carriageReturn = 0x0d;
const firstBytes = 64 * 1024;

/**
 * Assembles the replies of one connection from the chunks of its socket, each as one Buffer.
 *
 * It only finds where a reply ends; the caller parses it with a `ReplyCursor`. A Buffer for each field of each entry
 * would cost more than everything else in reading a stream, and would live as long as its batch.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/ (RESP2)
 */
export class ReplyAssembler {
  #bytes: Buffer = Buffer.alloc(0);
  /** Offsets in `#bytes`: the end of the received data, and of the complete values. */
  #end = 0;
  #parsed = 0;
  /** Values missing until the reply is complete; a list adds its length. */
  #missing = 1;
  /** Size of recent large replies: memory for the next one is allocated at once, not by doubling. */
  #expectedBytes = firstBytes;

  /** Adds a chunk and returns the replies completed by it. */
  push(chunk: Buffer): readonly Buffer[] {
    this.#append(chunk);
    const replies: Buffer[] = [];
    let from = 0;
    while (this.#parseToEnd()) {
      const decayed = Math.floor((this.#expectedBytes * 15) / 16);
      this.#expectedBytes = Math.max(firstBytes, this.#parsed - from, decayed);
      replies.push(this.#bytes.subarray(from, this.#parsed));
      from = this.#parsed;
      this.#missing = 1;
    }
    // Returned Buffers must not be written to any more.
    if (from > 0) {
      this.#bytes = Buffer.from(this.#bytes.subarray(from, this.#end));
      this.#end -= from;
      this.#parsed -= from;
    }
    return replies;
  }

  #append(chunk: Buffer): void {
    const end = this.#end + chunk.length;
    if (this.#end === 0) {
      this.#bytes = chunk;
    } else {
      // A chunk of the socket has no spare capacity, so it is never appended to.
      if (end > this.#bytes.length) this.#grow(end);
      chunk.copy(this.#bytes, this.#end);
    }
    this.#end = end;
  }

  #grow(least: number): void {
    const capacity = least <= this.#expectedBytes ? this.#expectedBytes : 2 * least;
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }

  /** Advances to the end of the reply; false if that has not been received. */
  #parseToEnd(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    while (this.#missing > 0) {
      const lineEnd = lineEndAt(bytes, this.#parsed, end);
      if (lineEnd === -1) return false;
      const type = bytes[this.#parsed];
      let next = lineEnd + 2;
      if (type === list) {
        this.#missing += Math.max(0, integerIn(bytes, this.#parsed + 1, lineEnd));
      } else if (type === bulk) {
        const length = integerIn(bytes, this.#parsed + 1, lineEnd);
        if (length >= 0) next += length + 2;
        if (next > end) return false;
      }
      this.#missing -= 1;
      this.#parsed = next;
    }
    return true;
  }
}

/** Parses one complete reply, value by value. Throws on an unexpected type, with a message without content. */
export class ReplyCursor {
  readonly bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.#at = at;
  }

  /** Offset of the next value. */
  get at(): number {
    return this.#at;
  }

  /** Length of a list, whose values follow; undefined for null. */
  list(): number | undefined {
    this.#expect(list, 'a list');
    const length = this.#integerLine();
    return length < 0 ? undefined : length;
  }

  /** An ASCII string. */
  text(): string {
    const length = this.skipString();
    return this.bytes.toString('latin1', this.#at - 2 - length, this.#at - 2);
  }

  /** A string as bytes, a view into the reply. */
  view(): Buffer {
    const length = this.skipString();
    return this.bytes.subarray(this.#at - 2 - length, this.#at - 2);
  }

  /** A string; as bytes if it is longer than `maxBytes` or may not be UTF-8. */
  utf8(maxBytes: number): string | Buffer {
    const length = this.skipString();
    const to = this.#at - 2;
    const text = length > maxBytes ? undefined : this.bytes.toString('utf8', to - length, to);
    // The replacement character stands for invalid UTF-8, or was sent as such.
    return text === undefined || text.includes('\uFFFD') ? this.bytes.subarray(to - length, to) : text;
  }

  /** Whether the next value is this string of fewer than 10 bytes; does not advance. */
  isAt(expected: Uint8Array): boolean {
    const { bytes } = this;
    let at = this.#at;
    if (bytes[at] !== bulk || bytes[at + 1] !== 0x30 + expected.length || bytes[at + 2] !== carriageReturn)
      return false;
    at += 4;
    for (let index = 0; index < expected.length; index += 1) {
      if (bytes[at + index] !== expected[index]) return false;
    }
    return true;
  }

  /** Skips a string and returns its length in bytes. */
  skipString(): number {
    this.#expect(bulk, 'a string');
    const length = this.#integerLine();
    if (length < 0) throw unexpected('a string', 'null');
    this.#at += length + 2;
    return length;
  }

  /** The next value of any type, lists with their values. */
  value(): ReplyValue {
    switch (this.bytes[this.#at]) {
      case list: {
        const length = this.list();
        return length === undefined ? null : Array.from({ length }, () => this.value());
      }
      case bulk: {
        if (this.bytes[this.#at + 1] !== failure) return this.view();
        this.#integerLine();
        return null;
      }
      case integer:
        return this.#integerLine();
      case simple:
        return this.#simpleString();
      case failure:
        return new RedisReplyError(this.#simpleString().toString());
      default:
        throw unexpected('a reply', 'something else');
    }
  }

  #simpleString(): Buffer {
    const from = this.#at + 1;
    const lineEnd = lineEndAt(this.bytes, from, this.bytes.length);
    this.#at = lineEnd + 2;
    return this.bytes.subarray(from, lineEnd);
  }

  /** The integer after the type byte. */
  #integerLine(): number {
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
    if (found === failure) throw new RedisReplyError(this.#simpleString().toString());
    if (found !== type) throw unexpected(wanted, nameOf(found));
  }
}

/** Encodes a command as a RESP array of bulk strings. */
export function encodeCommand(command: string, args: readonly (string | number)[]): string {
  let encoded = `*${args.length + 1}\r\n$${Buffer.byteLength(command)}\r\n${command}\r\n`;
  for (const arg of args) {
    const value = String(arg);
    encoded += `$${Buffer.byteLength(value)}\r\n${value}\r\n`;
  }
  return encoded;
}

// A loop: for the ten short lines of an entry, calls of the native indexOf would take longer.
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
      return 'a string';
    case integer:
      return 'a number';
    default:
      return 'something else';
  }
}

function unexpected(wanted: string, got: string): Error {
  return new TypeError(`Redis answered ${got} where ${wanted} was expected`);
}
