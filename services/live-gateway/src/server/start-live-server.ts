import type { WebSocketBehavior } from 'uWebSockets.js';
import type { AllowedOrigins } from '../access/allowed-origins.ts';
import type { Authenticate } from '../access/authenticate.ts';
import type { SessionTickets } from '../access/session-tickets.ts';
import type { ReportClientError } from '../connection/client-errors.ts';
import type { SocketData } from '../connection/socket-handlers.ts';
import { admit } from './admit.ts';
import type { UpgradeResult } from './admit.ts';
import { parseTrustedProxies } from './client-address.ts';
import type { ForwardedHeader } from './client-address.ts';
import { createUpgradeHandler } from './handle-upgrade.ts';
import { createTicketHandler } from './issue-ticket.ts';
import { listen } from './listen.ts';
import type { LiveServer } from './listen.ts';

/** Starts the WebSocket server. Upgrades in progress count towards `LIVE_MAX_CONNECTIONS`. */
export async function startLiveServer(options: {
  readonly config: {
    readonly LIVE_WS_HOST: string;
    readonly LIVE_WS_PORT: number;
    readonly LIVE_WS_PATH: string;
    readonly LIVE_ALLOWED_ORIGINS: AllowedOrigins;
    readonly LIVE_TRUSTED_PROXIES: string;
    readonly LIVE_FORWARDED_HEADER: ForwardedHeader;
    readonly LIVE_MAX_CONNECTIONS: number;
    readonly LIVE_MAX_HEADER_BYTES: number;
    readonly LIVE_PLAIN_DIALECT: boolean;
    readonly LIVE_ANONYMOUS_PER_ADDRESS: number;
    readonly LIVE_BEARER_TOKENS: boolean;
    readonly DIRECTUS_SESSION_COOKIE: string;
  };
  readonly handlers: Omit<WebSocketBehavior<SocketData>, 'upgrade'>;
  readonly authenticate: Authenticate;
  readonly tickets: SessionTickets | undefined;
  readonly isDraining: () => boolean;
  readonly connectionCount: () => number;
  readonly onUpgrade: (result: UpgradeResult) => void;
  readonly onError: ReportClientError;
}): Promise<LiveServer> {
  const { config } = options;
  const trustedProxies = parseTrustedProxies(config.LIVE_TRUSTED_PROXIES);
  if (typeof trustedProxies === 'string') throw new Error(`LIVE_TRUSTED_PROXIES: ${trustedProxies}`);
  let pending = 0;
  const rules = {
    isDraining: options.isDraining,
    // The request being checked is one of the pending ones.
    isFull: () => options.connectionCount() + pending > config.LIVE_MAX_CONNECTIONS,
    allowedOrigins: config.LIVE_ALLOWED_ORIGINS,
    trustedProxies,
    forwardedHeader: config.LIVE_FORWARDED_HEADER,
    allowsPlainDialect: config.LIVE_PLAIN_DIALECT,
    cookieName: config.DIRECTUS_SESSION_COOKIE,
    acceptsBearerTokens: config.LIVE_BEARER_TOKENS,
    admitsAnonymous: config.LIVE_ANONYMOUS_PER_ADDRESS > 0,
    authenticate: options.authenticate,
  };
  return listen({
    host: config.LIVE_WS_HOST,
    port: config.LIVE_WS_PORT,
    path: config.LIVE_WS_PATH,
    maxHeaderBytes: config.LIVE_MAX_HEADER_BYTES,
    handlers: options.handlers,
    onPost: options.tickets && createTicketHandler({ ...rules, tickets: options.tickets }, options.onError),
    createUpgrade: (upgradeCork) =>
      createUpgradeHandler({
        admit: (request) => admit(request, rules),
        forwardedHeader: config.LIVE_FORWARDED_HEADER,
        upgradeCork,
        onPending: (change) => {
          pending += change;
        },
        onResult: options.onUpgrade,
        onError: options.onError,
      }),
  });
}
