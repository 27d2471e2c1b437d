/** The fields of an error that are logged. */
interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
  readonly errors?: readonly LoggedError[];
}

export const redacted = '[redacted]';
const maxDepth = 6;
const maxEntries = 100;
const maxStringLength = 8_192;
const secretKey =
  /^(?:set-?)?cookies?$|^(?:proxy-?)?authorization$|^pass$|passw(?:or)?d|passphrase|secret|token$|api-?key/iu;

/**
 * Copies a value for the log. Errors are reduced to the fields of `serializeError`; values under the names of secrets and
 * credentials in URLs are redacted; bytes are replaced by their number. Depth, entries and string lengths are limited.
 */
export function safeToLog(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') {
    return withoutCredentials(truncate(value));
  }
  if (value instanceof Error) {
    return serializeError(value);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (ArrayBuffer.isView(value)) {
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
 * Keeps only type, message, code, stack and causes of an error. Positions are personal data, and drivers add data to
 * their errors: Postgres puts row values into `detail` and `where`, postgres.js adds `query` and `parameters`, ioredis
 * adds `command.args`. Values quoted in the messages of data errors are redacted.
 */
function serializeError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) {
    const type = error === null ? 'null' : typeof error;
    return { type, message: `${type} was thrown instead of an Error` };
  }
  const message = safeMessage(error);
  const code = stringOf(error, 'code');
  const errors = depth < maxDepth ? innerErrors(error) : [];
  return {
    type: error.name,
    message,
    ...(code !== undefined && { code }),
    ...(typeof error.stack === 'string' && { stack: safeStack(error.stack, `${error.name}: ${message}`) }),
    ...(error.cause !== undefined && depth < maxDepth && { cause: serializeError(error.cause, depth + 1) }),
    ...(errors.length > 0 && { errors: errors.map((inner) => serializeError(inner, depth + 1)) }),
  };
}

/** Redacts user and password in every URL in a string. */
export function withoutCredentials(value: string): string {
  // The scheme is bounded, or a long string without a URL would take quadratic time.
  return value.replaceAll(/([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#]*@/giu, `$1${redacted}@`);
}

function safeFields(value: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, maxEntries)
      .map(([key, field]) => [key, secretKey.test(key) ? redacted : safeToLog(field, depth + 1)]),
  );
}

function innerErrors(error: Error): readonly unknown[] {
  if (error instanceof AggregateError) {
    return error.errors.slice(0, maxEntries);
  }
  return error instanceof SuppressedError ? [error.error, error.suppressed] : [];
}

function safeMessage(error: Error): string {
  const message = truncate(error.message);
  return withoutPositions(withoutCredentials(quotesData(error) ? withoutQuotes(message) : message));
}

// For errors of others that quote data, such as a trigger's or an unknown command's: numbers with the decimals of a
// coordinate, and as many digits as an IMEI has.
function withoutPositions(message: string): string {
  return message
    .replaceAll(/(?<![\d.])\d{1,3}\.\d{3,}(?![\d.])/gu, '[number]')
    .replaceAll(/(?<!\d)\d{11}(\d{4})(?!\d)/gu, '…$1');
}

// Only the frames: the lines above them repeat the original message.
function safeStack(stack: string, title: string): string {
  const frames = stack.split('\n').filter((line) => /^\s+at /u.test(line));
  return truncate([title, ...frames].join('\n'));
}

// Postgres data exceptions (class 22), JSON.parse and Node's argument errors quote the invalid value.
function quotesData(error: Error): boolean {
  return (
    (error instanceof SyntaxError && error.message.includes('JSON')) ||
    /^22[0-9A-Z]{3}$|^ERR_INVALID_ARG|^ERR_OUT_OF_RANGE$/u.test(stringOf(error, 'code') ?? '')
  );
}

function withoutQuotes(message: string): string {
  return message
    .replace(/Received .*$/su, `Received ${redacted}`)
    .replace(/".*"/su, `"${redacted}"`)
    .replace(/'.*'/su, `'${redacted}'`);
}

function truncate(value: string): string {
  return value.length > maxStringLength ? `${value.slice(0, maxStringLength)}…` : value;
}

function stringOf(error: Error, key: string): string | undefined {
  const value: unknown = Reflect.get(error, key);
  return typeof value === 'string' ? value : undefined;
}
