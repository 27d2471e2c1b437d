/** A value of the Redis protocol (RESP2 or RESP3): texts as bytes, maps flat, an error as a value. */
export type RespValue = null | number | boolean | Buffer | RespError | readonly RespValue[];

/** An error reply. */
export class RespError {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

export interface RespMessage {
  readonly value: RespValue;
  /** Where the next message begins. */
  readonly end: number;
}

/**
 * Reads the message that begins at `at`; undefined while it is not complete. Requests are arrays of texts, so
 * this reads both directions of a connection.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export function readResp(bytes: Buffer, at: number): RespMessage | undefined {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd === -1) return undefined;
  const type = String.fromCharCode(bytes[at] ?? 0);
  const line = bytes.subarray(at + 1, lineEnd);
  const next = lineEnd + 2;
  switch (type) {
    case '+':
    case '(':
      return { value: line, end: next };
    case '-':
      return { value: new RespError(line.toString()), end: next };
    case ':':
    case ',':
      return { value: Number(line), end: next };
    case '#':
      return { value: line.toString() === 't', end: next };
    case '_':
      return { value: null, end: next };
    case '$':
    case '=':
      return readText(bytes, Number(line), next);
    case '*':
    case '~':
    case '>':
      return readList(bytes, Number(line), next);
    case '%':
      return readList(bytes, 2 * Number(line), next);
    default:
      throw new Error(`not the Redis protocol: a message of type ${JSON.stringify(type)}`);
  }
}

function readText(bytes: Buffer, length: number, at: number): RespMessage | undefined {
  if (length === -1) return { value: null, end: at };
  const end = at + length + 2;
  return end > bytes.length ? undefined : { value: bytes.subarray(at, at + length), end };
}

function readList(bytes: Buffer, length: number, at: number): RespMessage | undefined {
  if (length === -1) return { value: null, end: at };
  const values: RespValue[] = [];
  let end = at;
  for (let i = 0; i < length; i += 1) {
    const message = readResp(bytes, end);
    if (message === undefined) return undefined;
    values.push(message.value);
    end = message.end;
  }
  return { value: values, end };
}
