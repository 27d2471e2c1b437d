import { subprotocol } from '@app/shared/protocol';
import type { AllowedOrigins } from '../access/allowed-origins.ts';
import { isAllowedOrigin } from '../access/allowed-origins.ts';
import type { Authenticate } from '../access/authenticate.ts';
import { readCredential } from '../access/read-credential.ts';
import type { CredentialRules } from '../access/read-credential.ts';
import type { Viewer } from '../access/visitor.ts';
import { clientAddress } from './client-address.ts';
import type { ForwardedHeader, TrustedProxies } from './client-address.ts';
import { listsToken, offersSubprotocol } from './upgrade-request.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/** The result of an upgrade request; the `result` label of `live_upgrades_total`. */
export type UpgradeResult =
  | 'accepted'
  | 'draining'
  | 'full'
  /** Not a handshake of RFC 6455. */
  | 'bad_request'
  | 'foreign_origin'
  /** `live.v1` is not offered, and `LIVE_PLAIN_DIALECT` is off. */
  | 'plain_dialect'
  | 'no_cookie'
  | 'unauthorised'
  | 'unavailable'
  /** The client disconnected before the response. */
  | 'aborted'
  /** An unexpected error. */
  | 'internal';

export type Admission =
  | { readonly isAdmitted: true; readonly viewer: Viewer }
  | { readonly isAdmitted: false; readonly refusal: Refusal };

export interface Refusal {
  readonly result: Exclude<UpgradeResult, 'accepted' | 'aborted'>;
  readonly status:
    | '400 Bad Request'
    | '401 Unauthorized'
    | '403 Forbidden'
    | '500 Internal Server Error'
    | '503 Service Unavailable';
  readonly message: string;
  readonly retryAfterS?: number;
}

export interface AdmissionRules extends CredentialRules {
  readonly isDraining: () => boolean;
  readonly isFull: () => boolean;
  readonly allowedOrigins: AllowedOrigins;
  readonly trustedProxies: TrustedProxies;
  readonly forwardedHeader: ForwardedHeader;
  readonly allowsPlainDialect: boolean;
  readonly authenticate: Authenticate;
}

/** Of the WebSocket protocol. */
export const supportedVersion = '13';
const defaultRetryAfterS = { draining: 1, full: 10, unavailable: 5 } as const;

/** Admits or refuses an upgrade request. The cheapest checks come first; only the last one calls Directus. */
export async function admit(request: UpgradeRequest, rules: AdmissionRules): Promise<Admission> {
  if (rules.isDraining()) return refuseTemporarily('draining', 'server shutting down');
  if (rules.isFull()) return refuseTemporarily('full', 'too many connections');
  const problem = problemOfHandshake(request);
  if (problem !== undefined) return refuse('bad_request', '400 Bad Request', problem);
  // No page can set Authorization on a WebSocket, so a request with a token and without an Origin is no page's.
  const isProgram = rules.acceptsBearerTokens && request.authorization !== '' && request.origin === '';
  if (!isProgram && !isAllowedOrigin(request.origin, rules.allowedOrigins)) {
    return refuse('foreign_origin', '403 Forbidden', 'origin not allowed');
  }
  if (!rules.allowsPlainDialect && !offersSubprotocol(request.protocols, subprotocol)) {
    return refuse('plain_dialect', '400 Bad Request', `subprotocol ${subprotocol} required`);
  }
  const credential = readCredential(request, rules);
  if (credential === undefined) return refuse('no_cookie', '401 Unauthorized', 'no session cookie');
  const visitor = {
    credential,
    address: clientAddress(
      request.socketAddress,
      request.forwarded,
      rules.forwardedHeader,
      rules.trustedProxies,
    ),
  };
  // Nothing to authenticate; Directus decides about each event.
  if (credential.kind === 'anonymous') return { isAdmitted: true, viewer: { ...visitor, userId: undefined } };
  const identity = await rules.authenticate(visitor);
  if (identity.kind === 'nobody') return refuse('unauthorised', '401 Unauthorized', 'session not valid');
  if (identity.kind === 'unavailable') {
    return refuseTemporarily('unavailable', 'session cannot be checked now', identity.retryAfterMs);
  }
  // Draining may have started during the Directus call.
  if (rules.isDraining()) return refuseTemporarily('draining', 'server shutting down');
  return { isAdmitted: true, viewer: { ...visitor, userId: identity.userId } };
}

/** What RFC 6455, section 4.2.1, requires of a request and uWebSockets.js does not check. */
function problemOfHandshake({ connection, isClosing, upgrade, version }: UpgradeRequest): string | undefined {
  if (!listsToken(connection, 'upgrade')) return 'Connection header must list Upgrade';
  if (isClosing) return 'Connection: close must not precede Connection: Upgrade';
  if (!listsToken(upgrade, 'websocket')) return 'Upgrade header must list websocket';
  return version === supportedVersion ? undefined : `Sec-WebSocket-Version must be ${supportedVersion}`;
}

function refuse(result: Refusal['result'], status: Refusal['status'], message: string): Admission {
  return { isAdmitted: false, refusal: { result, status, message } };
}

function refuseTemporarily(
  result: keyof typeof defaultRetryAfterS,
  message: string,
  retryAfterMs = defaultRetryAfterS[result] * 1000,
): Admission {
  const afterS = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return {
    isAdmitted: false,
    refusal: { result, status: '503 Service Unavailable', message, retryAfterS: afterS },
  };
}
