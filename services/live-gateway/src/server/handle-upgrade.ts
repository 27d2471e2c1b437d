import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js';
import { subprotocol } from '@app/shared/protocol';
import type { ReportClientError } from '../connection/client-errors.ts';
import type { SocketData } from '../connection/socket-handlers.ts';
import { supportedVersion } from './admit.ts';
import type { Admission, Refusal, UpgradeResult } from './admit.ts';
import type { ForwardedHeader } from './client-address.ts';
import { offersSubprotocol, readUpgradeRequest } from './upgrade-request.ts';
import type { UpgradeRequest } from './upgrade-request.ts';
import type { UpgradeCork } from './upgrade-cork.ts';

/**
 * Creates the handler of upgrade requests. It never rejects: an unexpected error is answered 500.
 *
 * @param onPending called with 1 before a request is checked and with -1 afterwards.
 * @param onResult called once per request.
 */
export function createUpgradeHandler(options: {
  readonly admit: (request: UpgradeRequest) => Promise<Admission>;
  readonly forwardedHeader: ForwardedHeader;
  readonly upgradeCork: UpgradeCork;
  readonly onPending: (change: 1 | -1) => void;
  readonly onResult: (result: UpgradeResult) => void;
  readonly onError: ReportClientError;
}): (response: HttpResponse, request: HttpRequest, context: us_socket_context_t) => Promise<void> {
  const { upgradeCork, onPending, onResult, onError } = options;
  return async (response, request, context) => {
    // Registered before any await: without it a client that disconnects meanwhile aborts the process.
    let isAborted = false;
    response.onAborted(() => {
      isAborted = true;
    });
    onPending(1);
    let upgradeRequest: UpgradeRequest | undefined;
    let admission: Admission;
    try {
      upgradeRequest = readUpgradeRequest(response, request, options.forwardedHeader);
      admission = await options.admit(upgradeRequest);
      // A cached answer arrives inside the handler, where uWebSockets.js takes another code path to upgrade.
      await yieldToEventLoop();
    } catch (error) {
      onError('upgrade', error, {});
      admission = { isAdmitted: false, refusal: internalError };
    } finally {
      onPending(-1);
    }
    try {
      if (isAborted) {
        onResult('aborted');
      } else if (admission.isAdmitted && upgradeRequest !== undefined) {
        onResult('accepted');
        const { key, extensions } = upgradeRequest;
        const isBatched = offersSubprotocol(upgradeRequest.protocols, subprotocol);
        const data: SocketData = { viewer: admission.viewer, isBatched, link: undefined };
        const protocol = isBatched ? subprotocol : '';
        upgradeCork.run(() => response.upgrade(data, key, protocol, extensions, context));
      } else {
        const refusal = admission.isAdmitted ? internalError : admission.refusal;
        onResult(refusal.result);
        response.cork(() => refuse(response, refusal));
      }
    } catch (error) {
      onError('upgrade', error, {});
    }
  };
}

const internalError: Refusal = {
  result: 'internal',
  status: '500 Internal Server Error',
  message: 'internal error',
};

function refuse(response: HttpResponse, refusal: Refusal): void {
  response.writeStatus(refusal.status).writeHeader('Content-Type', 'text/plain; charset=utf-8');
  if (refusal.result === 'bad_request') response.writeHeader('Sec-WebSocket-Version', supportedVersion);
  if (refusal.retryAfterS !== undefined) response.writeHeader('Retry-After', String(refusal.retryAfterS));
  response.end(`${refusal.message}\n`, true);
}
