/** What a log line keeps of an error. */
export interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
  readonly errors?: readonly LoggedError[];
}

export const hidden = '[redacted]';
const maxDepth = 6;
const maxEntries = 100;
const maxTextLength = 8_192;
const secretKey =
  /^(?:set-?)?cookies?$|^(?:proxy-?)?authorization$|^pass$|passw(?:or)?d|passphrase|secret|token$|api-?key/iu;

/**
 * A copy of `value` that may be written down: errors reduced to what
 * `serializeError` keeps, values under the names of secrets and credentials
 * inside URLs replaced, bytes only counted. At most 6 deep, 100 entries wide and
 * 8 192 characters a text.
 */
export function safeToLog(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') {
    return withoutCredentials(shortened(value));
  }
  if (value instanceof Error) {
    return serializeError(value);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (ArrayBuffer.isView(value)) {
    // Raw bytes are a payload or a key, never something to read in a log.
    return `[${value.byteLength} bytes]`;
  }
  if (depth === maxDepth) {
    return '[too deep]';
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    const json: unknown = value.toJSON();
    return json === value ? '[too deep]' : safeToLog(json, depth + 1);
  }
  if (Array.isArray(value)) {
    return value.slice(0, maxEntries).map((item) => safeToLog(item, depth + 1));
  }
  return safeFields(value, depth);
}

/**
 * Type, message, code, stack and causes of an error, and nothing else.
 *
 * Drivers hang the data onto their errors: Postgres' `detail` and `where` hold
 * row values, postgres.js adds `query` and `parameters`, ioredis adds
 * `command.args`. None of it is copied, and the message loses what some
 * messages quote: positions are personal data.
 */
export function serializeError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) {
    const what = error === null ? 'null' : typeof error;
    return { type: what, message: `${what} was thrown instead of an Error` };
  }
  const message = safeMessage(error);
  const code = stringOf(error, 'code');
  const errors = depth < maxDepth ? innerErrors(error) : [];
  return {
    type: error.name,
    message,
    ...(code !== undefined && { code }),
    ...(typeof error.stack === 'string' && { stack: framesOf(error.stack, `${error.name}: ${message}`) }),
    ...(error.cause !== undefined && depth < maxDepth && { cause: serializeError(error.cause, depth + 1) }),
    ...(errors.length > 0 && { errors: errors.map((inner) => serializeError(inner, depth + 1)) }),
  };
}

/** Replaces user and password in every URL of a text. */
export function withoutCredentials(text: string): string {
  // The scheme is bounded, or a long text without a URL would take quadratic time.
  return text.replaceAll(/([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#]*@/giu, `$1${hidden}@`);
}

function safeFields(value: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, maxEntries)
      .map(([key, field]) => [key, secretKey.test(key) ? hidden : safeToLog(field, depth + 1)]),
  );
}

function innerErrors(error: Error): readonly unknown[] {
  if (error instanceof AggregateError) {
    return error.errors.slice(0, maxEntries);
  }
  return error instanceof SuppressedError ? [error.error, error.suppressed] : [];
}

function safeMessage(error: Error): string {
  const text = shortened(error.message);
  return withoutPositions(withoutCredentials(quotesData(error) ? withoutQuotes(text) : text));
}

// Only the frames: the lines above them repeat the message as it was.
function framesOf(stack: string, title: string): string {
  const frames = stack.split('\n').filter((line) => /^\s+at /u.test(line));
  return shortened([title, ...frames].join('\n'));
}

// Postgres' data exceptions (class 22), JSON.parse and Node's argument errors quote the offending value.
function quotesData(error: Error): boolean {
  return (
    (error instanceof SyntaxError && error.message.includes('JSON')) ||
    /^22[0-9A-Z]{3}$|^ERR_INVALID_ARG|^ERR_OUT_OF_RANGE$/u.test(stringOf(error, 'code') ?? '')
  );
}

function withoutQuotes(message: string): string {
  return message
    .replace(/Received .*$/su, `Received ${hidden}`)
    .replace(/".*"/su, `"${hidden}"`)
    .replace(/'.*'/su, `'${hidden}'`);
}

// The last line of defence, for a message that nobody foresaw: numbers with the
// decimals of a coordinate, and as many digits as an IMEI has.
function withoutPositions(text: string): string {
  return text
    .replaceAll(/(?<![\d.])\d{1,3}\.\d{3,}(?![\d.])/gu, '[number]')
    .replaceAll(/(?<!\d)\d{11}(\d{4})(?!\d)/gu, '…$1');
}

function shortened(text: string): string {
  return text.length > maxTextLength ? `${text.slice(0, maxTextLength)}…` : text;
}

function stringOf(error: Error, key: string): string | undefined {
  const value: unknown = Reflect.get(error, key);
  return typeof value === 'string' ? value : undefined;
}
