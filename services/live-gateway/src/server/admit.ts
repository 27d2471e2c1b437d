import { subprotocol } from '@app/shared/protocol';
import type { AllowedOrigins } from '../access/allowed-origins.ts';
import { isAllowedOrigin } from '../access/allowed-origins.ts';
import type { Authenticate } from '../access/authenticate.ts';
import { readSessionCookie } from '../access/session-cookie.ts';
import type { Viewer } from '../access/visitor.ts';
import { clientAddress } from './client-address.ts';
import type { TrustedProxies } from './client-address.ts';
import { offersSubprotocol } from './upgrade-request.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/** How a request to upgrade ended; the label of `live_upgrades_total`. */
export type UpgradeResult =
  | 'accepted'
  | 'draining'
  | 'full'
  /** It asks to upgrade, and to close the connection. */
  | 'bad_request'
  | 'foreign_origin'
  /** It does not ask for `live.v1`, and `LIVE_PLAIN_DIALECT` is off. */
  | 'plain_dialect'
  | 'no_cookie'
  | 'unauthorised'
  | 'unavailable'
  /** The client was gone before there was an answer. */
  | 'aborted';

export type Admission =
  | { readonly isAdmitted: true; readonly viewer: Viewer }
  | { readonly isAdmitted: false; readonly refusal: Refusal };

export interface Refusal {
  readonly result: Exclude<UpgradeResult, 'accepted' | 'aborted'>;
  readonly status: '400 Bad Request' | '401 Unauthorized' | '403 Forbidden' | '503 Service Unavailable';
  readonly message: string;
  readonly retryAfterS?: number;
}

export interface AdmissionRules {
  readonly isDraining: () => boolean;
  readonly isFull: () => boolean;
  readonly allowedOrigins: AllowedOrigins;
  readonly trustedProxies: TrustedProxies;
  readonly allowsPlainDialect: boolean;
  readonly cookieName: string;
  readonly authenticate: Authenticate;
}

const retryAfterS = { draining: 1, full: 10, unavailable: 5 } as const;

/** Decides about a request to upgrade, from cheap to dear: only the last check asks anybody. */
export async function admit(request: UpgradeRequest, rules: AdmissionRules): Promise<Admission> {
  if (rules.isDraining()) return refuseUntilLater('draining', 'this server is going away');
  if (rules.isFull()) return refuseUntilLater('full', 'too many connections');
  // RFC 6455 wants the word there. uWebSockets.js does not look, and upgrades a connection that it then closes.
  if (!/\bupgrade\b/i.test(request.connection)) {
    return refuse('bad_request', '400 Bad Request', 'the Connection header must say Upgrade');
  }
  if (!isAllowedOrigin(request.origin, rules.allowedOrigins)) {
    return refuse('foreign_origin', '403 Forbidden', 'this origin may not connect');
  }
  if (!rules.allowsPlainDialect && !offersSubprotocol(request.protocols, subprotocol)) {
    return refuse('plain_dialect', '400 Bad Request', `ask for the subprotocol ${subprotocol}`);
  }
  const cookie = readSessionCookie(request.cookieHeader, rules.cookieName);
  if (cookie === undefined) return refuse('no_cookie', '401 Unauthorized', 'no session');
  const visitor = {
    cookie,
    address: clientAddress(request.socketAddress, request.forwardedFor, rules.trustedProxies),
  };
  const identity = await rules.authenticate(visitor);
  if (identity.kind === 'nobody')
    return refuse('unauthorised', '401 Unauthorized', 'the session is not valid');
  if (identity.kind === 'unavailable') {
    return refuseUntilLater('unavailable', 'the session cannot be checked now', identity.retryAfterMs);
  }
  // It may have begun to drain while Directus was asked.
  if (rules.isDraining()) return refuseUntilLater('draining', 'this server is going away');
  return { isAdmitted: true, viewer: { ...visitor, userId: identity.userId } };
}

function refuse(result: Refusal['result'], status: Refusal['status'], message: string): Admission {
  return { isAdmitted: false, refusal: { result, status, message } };
}

function refuseUntilLater(
  result: keyof typeof retryAfterS,
  message: string,
  retryAfterMs = retryAfterS[result] * 1000,
): Admission {
  const afterS = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return {
    isAdmitted: false,
    refusal: { result, status: '503 Service Unavailable', message, retryAfterS: afterS },
  };
}
