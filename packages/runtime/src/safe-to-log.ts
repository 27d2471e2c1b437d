/** What a log line keeps of an error. */
export interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
  readonly errors?: readonly LoggedError[];
}

const hidden = '[redacted]';
const maxDepth = 6;
const maxErrors = 10;
const maxTextLength = 8_192;
const secretKey =
  /^(?:set-)?cookies?$|^(?:proxy-)?authorization$|passw(?:or)?d|passphrase|secret|token$|api-?key/iu;

/**
 * A copy of `value` that may be written down: errors reduced to
 * `serializeError`, values under secret names and credentials inside URLs
 * replaced. Nested at most 6 deep; what lies deeper is left out.
 */
export function safeToLog(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') {
    return withoutCredentials(value);
  }
  if (value instanceof Error) {
    return serializeError(value);
  }
  if (typeof value !== 'object' || value === null || value instanceof Date) {
    return value;
  }
  if (ArrayBuffer.isView(value)) {
    // Raw bytes are a payload or a key, never something to read in a log.
    return `[${value.byteLength} bytes]`;
  }
  if (depth === maxDepth) {
    return '[too deep]';
  }
  if (Array.isArray(value)) {
    return value.map((item) => safeToLog(item, depth + 1));
  }
  if (value instanceof URL) {
    return withoutCredentials(value.href);
  }
  return safeFields(value, depth);
}

/** `safeToLog` for the fields of one object. */
export function safeFields(value: object, depth = 0): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    safe[key] = secretKey.test(key) ? hidden : safeToLog(field, depth + 1);
  }
  return safe;
}

/**
 * Type, message, code, stack and causes of an error, and nothing else.
 *
 * Drivers hang the data onto their errors: Postgres' `detail` and `where` hold
 * row values, postgres.js adds `query` and `parameters`, ioredis adds
 * `command.args`. None of it is copied, and the message and stack lose what
 * some messages quote: positions are personal data.
 */
export function serializeError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) {
    return {
      type: typeof error,
      message: `a thrown ${error === null ? 'null' : typeof error}, not an Error`,
    };
  }
  const message = safeMessage(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const stack = typeof error.stack === 'string' ? safeStack(error.stack, error.message, message) : undefined;
  const hasCause = depth < maxDepth && error.cause !== undefined && error.cause !== null;
  return {
    type: error.name,
    message,
    ...(code !== undefined && { code }),
    ...(stack !== undefined && { stack }),
    ...(hasCause && { cause: serializeError(error.cause, depth + 1) }),
    ...innerErrors(error, depth),
  };
}

/** Replaces user and password in every URL of a text. */
export function withoutCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/?#]*@/giu, `$1${hidden}@`);
}

function innerErrors(error: Error, depth: number): { errors?: readonly LoggedError[] } {
  if (!(error instanceof AggregateError) || depth >= maxDepth) {
    return {};
  }
  return { errors: error.errors.slice(0, maxErrors).map((inner) => serializeError(inner, depth + 1)) };
}

function safeMessage(error: Error): string {
  const text = error.message.slice(0, maxTextLength);
  return withoutPositions(withoutCredentials(quotesData(error) ? withoutQuotes(text) : text));
}

// The frames below the message are code; only the first lines repeat the message.
function safeStack(stack: string, rawMessage: string, message: string): string {
  const unquoted = rawMessage === '' ? stack : stack.replace(rawMessage, () => message);
  return withoutPositions(withoutCredentials(unquoted.slice(0, maxTextLength)));
}

// Postgres' data exceptions (class 22) and JSON.parse quote the offending text,
// Node's argument errors end in «Received …».
function quotesData(error: Error): boolean {
  if (error instanceof SyntaxError) {
    return true;
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return /^22[0-9A-Z]{3}$/u.test(code) || code.startsWith('ERR_');
}

function withoutQuotes(message: string): string {
  return message
    .replaceAll(/Received .*$/gsu, `Received ${hidden}`)
    .replaceAll(/"[^\n]*"/gu, `"${hidden}"`)
    .replaceAll(/'[^'\n]+'/gu, `'${hidden}'`);
}

// The last line of defence, for a message that nobody foresaw: numbers with the
// decimals of a coordinate, and digits as long as an IMEI.
function withoutPositions(text: string): string {
  return text
    .replaceAll(/(?<![\d.])\d{1,3}\.\d{3,}(?![\d.])/gu, '[number]')
    .replaceAll(/(?<!\d)\d{11}(\d{4})(?!\d)/gu, '…$1');
}
