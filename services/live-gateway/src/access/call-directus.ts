import pLimit from 'p-limit';
import type { Visitor } from './visitor.ts';

/** A reply of Directus, its body parsed; or that there was none to be had. */
export type DirectusReply =
  | { readonly answered: true; readonly status: number; readonly body: unknown; readonly errorCode?: string }
  | { readonly answered: false; readonly reason: UnavailableReason; readonly retryAfterMs?: number };

/** Why Directus had no answer, as a metric's label. */
export type UnavailableReason =
  | 'timeout'
  | 'unreachable'
  | 'overloaded'
  | 'rate_limited'
  | 'server_error'
  | 'bad_reply';

/** Asks Directus for one path in a visitor's name. Never rejects: no answer is an answer. */
export type CallDirectus = (path: string, visitor: Visitor, timeoutMs: number) => Promise<DirectusReply>;

const maxRetryAfterMs = 60_000;
/**
 * Less than this much of its time is too little for a call. Those who came together run out of time together: each turn
 * that the first ones leave behind would become a call that is broken off at once, at a Directus that is in trouble.
 */
const leastTimeShare = 0.1;

/**
 * @param baseUrl of Directus, a path included, with no slash at the end.
 * @param maxInFlight calls at once: a storm of reconnects must not become a storm on Directus.
 * @param maxWaiting calls that wait for their turn; more are refused at once as `overloaded`.
 */
export function createCallDirectus(options: {
  readonly baseUrl: string;
  readonly maxInFlight: number;
  readonly maxWaiting: number;
}): CallDirectus {
  const limit = pLimit(options.maxInFlight);
  return async (path, visitor, timeoutMs) => {
    if (limit.pendingCount >= options.maxWaiting) return { answered: false, reason: 'overloaded' };
    // The time limit covers the wait for a turn: a visitor's handshake lasts no longer than that.
    const signal = AbortSignal.timeout(timeoutMs);
    const tooLateAtMs = performance.now() + timeoutMs * (1 - leastTimeShare);
    return limit(async () => {
      if (performance.now() > tooLateAtMs) return { answered: false, reason: 'overloaded' };
      return ask(`${options.baseUrl}${path}`, visitor, signal);
    });
  };
}

async function ask(url: string, visitor: Visitor, signal: AbortSignal): Promise<DirectusReply> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      // Directus limits by address and believes this header: it gets the one that the gateway has worked out.
      headers: {
        cookie: visitor.cookie.header(),
        'x-forwarded-for': visitor.address,
        accept: 'application/json',
      },
      redirect: 'manual',
      signal,
    });
    text = await response.text();
  } catch {
    // What fetch throws says no more than these two words, and its cause may quote the request.
    return { answered: false, reason: signal.aborted ? 'timeout' : 'unreachable' };
  }
  return readReply(response.status, response.headers.get('retry-after'), text);
}

/** 429 and 5xx say "later", not "no"; so does whatever Directus itself never sends (a proxy's page, a redirect). */
function readReply(status: number, retryAfter: string | null, text: string): DirectusReply {
  if (status === 429 || status >= 500) {
    const retryAfterMs = parseRetryAfterMs(retryAfter);
    const reason = status === 429 ? 'rate_limited' : 'server_error';
    return { answered: false, reason, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }
  const body = parseJson(text);
  if (body === undefined) return { answered: false, reason: 'bad_reply' };
  const errorCode = readErrorCode(body);
  return { answered: true, status, body, ...(errorCode !== undefined && { errorCode }) };
}

/** `data.id` of a reply, if it is a text. */
export function readDataId(body: unknown): string | undefined {
  const data = property(body, 'data');
  const id = property(data, 'id');
  return typeof id === 'string' && id !== '' ? id : undefined;
}

/** `{"errors":[{"extensions":{"code"}}]}`. */
function readErrorCode(body: unknown): string | undefined {
  const errors = property(body, 'errors');
  const code: unknown = Array.isArray(errors)
    ? property(property(errors[0], 'extensions'), 'code')
    : undefined;
  return typeof code === 'string' ? code : undefined;
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Only the form in seconds: Directus sends no dates. */
function parseRetryAfterMs(header: string | null): number | undefined {
  if (header === null || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1000, maxRetryAfterMs);
}
