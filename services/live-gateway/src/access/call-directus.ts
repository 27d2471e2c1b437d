import pLimit from 'p-limit';
import type { RunClock } from '../run-clock.ts';
import { causeOf } from './report-directus.ts';
import type { Visitor } from './visitor.ts';

/** A response of Directus with its parsed body, or the reason why there is none. */
export type DirectusReply =
  | { readonly answered: true; readonly status: number; readonly body: unknown; readonly errorCode?: string }
  | {
      readonly answered: false;
      readonly reason: UnavailableReason;
      /** See `DirectusFailure`. */
      readonly cause?: string | undefined;
      readonly retryAfterMs?: number;
    };

/** Why there is no response; the `outcome` label of `live_auth_duration_seconds`. */
type UnavailableReason =
  | 'timeout'
  | 'unreachable'
  | 'overloaded'
  | 'rate_limited'
  | 'server_error'
  | 'bad_reply';

/** The result of a call that Directus did not answer. */
export interface Unavailable {
  readonly kind: 'unavailable';
  readonly retryAfterMs?: number;
}

export function unavailable(retryAfterMs?: number): Unavailable {
  return { kind: 'unavailable', ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** Requests one path from Directus with a visitor's session. Never rejects. */
export type CallDirectus = (path: string, visitor: Visitor, timeoutMs: number) => Promise<DirectusReply>;

const maxRetryAfterMs = 60_000;
/**
 * A queued call with less than this share of its timeout left is not made. Calls queued together time out together:
 * each slot that a timed-out call frees would start a call that is aborted at once, at an overloaded Directus.
 */
const minTimeLeftShare = 0.1;

/**
 * @param baseUrl of Directus, may include a path, without a trailing slash.
 * @param maxInFlight maximum concurrent calls, so that a reconnect storm does not reach Directus.
 * @param maxQueued maximum queued calls; further ones fail at once as `overloaded`.
 */
export function createCallDirectus(options: {
  readonly baseUrl: string;
  readonly maxInFlight: number;
  readonly maxQueued: number;
  /** An answer that arrived while the process did not run is in time. */
  readonly clock: RunClock;
}): CallDirectus {
  const { clock } = options;
  const limit = pLimit(options.maxInFlight);
  return async (path, visitor, timeoutMs) => {
    if (limit.pendingCount >= options.maxQueued) return { answered: false, reason: 'overloaded' };
    // The timeout includes the time in the queue, so it also bounds the client's handshake.
    const { signal, cancel } = clock.abortAfter(timeoutMs);
    const latestStartAtMs = clock.nowMs() + timeoutMs * (1 - minTimeLeftShare);
    try {
      return await limit(async () => {
        if (clock.nowMs() > latestStartAtMs) return { answered: false, reason: 'overloaded' };
        return request(`${options.baseUrl}${path}`, visitor, signal);
      });
    } finally {
      cancel();
    }
  };
}

async function request(url: string, visitor: Visitor, signal: AbortSignal): Promise<DirectusReply> {
  let response: Response;
  let body: string;
  try {
    response = await fetch(url, {
      // Directus trusts this header for its rate limit: it gets the address determined by the gateway.
      headers: {
        ...visitor.credential.headers(),
        'x-forwarded-for': visitor.address,
        accept: 'application/json',
      },
      redirect: 'manual',
      signal,
    });
    body = await response.text();
  } catch (error) {
    // Only the code of its cause is kept: its message may contain the request, and with it the credential.
    return signal.aborted
      ? { answered: false, reason: 'timeout' }
      : { answered: false, reason: 'unreachable', cause: causeOf(error) };
  }
  return readReply(response.status, response.headers.get('retry-after'), body);
}

/** 429 and 5xx are temporary; so is a body that is not JSON, such as a proxy's error page. */
function readReply(status: number, retryAfter: string | null, json: string): DirectusReply {
  if (status === 429 || status >= 500) {
    const retryAfterMs = parseRetryAfterMs(retryAfter);
    const reason = status === 429 ? 'rate_limited' : 'server_error';
    const cause = `HTTP ${status}`;
    return { answered: false, reason, cause, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }
  const body = parseJson(json);
  if (body === undefined)
    return { answered: false, reason: 'bad_reply', cause: `HTTP ${status} without JSON` };
  const errorCode = readErrorCode(body);
  return { answered: true, status, body, ...(errorCode !== undefined && { errorCode }) };
}

/** `data.id` of a response body, if it is a non-empty string. */
export function readDataId(body: unknown): string | undefined {
  const data = property(body, 'data');
  const id = property(data, 'id');
  return typeof id === 'string' && id !== '' ? id : undefined;
}

/** `errors[0].extensions.code` of a response body. */
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

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Seconds only: Directus sends no dates. */
function parseRetryAfterMs(header: string | null): number | undefined {
  if (header === null || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1000, maxRetryAfterMs);
}
