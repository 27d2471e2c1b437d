import type { Access } from './access/create-access.ts';
import { SessionTickets } from './access/session-tickets.ts';
import type { SuspendedUsers } from './access/suspended-users.ts';
import type { GatewayConfig } from './config.ts';
import type { ReportClientError } from './connection/client-errors.ts';
import { createSocketHandlers } from './connection/socket-handlers.ts';
import type { GatewayState } from './gateway-state.ts';
import { meterTraffic } from './meters.ts';
import type { Metrics } from './metrics.ts';
import type { ResultsReader } from './results/results-reader.ts';
import type { RunClock } from './run-clock.ts';
import type { LiveServer } from './server/listen.ts';
import { startLiveServer } from './server/start-live-server.ts';
import { acceptClient } from './connection/accept-client.ts';
import type { MessageContext } from './connection/handle-message.ts';
import type { Reauthorizer } from './subscriptions/reauthorizer.ts';

const maxQueuedReplies = 64;

/** Starts the WebSocket server and wires its connections to the gateway's state. */
export async function startClientServer(options: {
  readonly config: GatewayConfig;
  readonly state: GatewayState;
  readonly access: Access;
  readonly suspended: SuspendedUsers;
  readonly reauthorizer: Reauthorizer;
  readonly resultsReader: Pick<ResultsReader, 'open'>;
  readonly metrics: Metrics;
  readonly onError: ReportClientError;
  readonly clock: RunClock;
  readonly nowMs: () => number;
}): Promise<LiveServer> {
  const { config, state, access, metrics, onError, clock, nowMs } = options;
  const { clients, registry, latest, timeline, readiness } = state;
  const authenticate = options.suspended.wrapAuthenticate(access.authenticate);
  const key = config.LIVE_TICKET_KEY;
  const tickets =
    key === undefined ? undefined : new SessionTickets(key, config.DIRECTUS_SESSION_COOKIE, nowMs);
  const limits = {
    maxSubscriptions: config.LIVE_MAX_SUBSCRIPTIONS,
    messageRatePerS: config.LIVE_MESSAGE_RATE_PER_S,
    acceptsTickets: tickets !== undefined,
  };
  const messageContext: MessageContext = {
    authorize: access.authorize,
    authenticate,
    tickets,
    onSessionReplaced: (client) => options.reauthorizer.recheck(client),
    onReauthenticated: (outcome) => metrics.reauthentications.inc({ outcome }),
    registry,
    latest,
    timeline,
    results: {
      events: state.watchedResults,
      open: (eventId, cursor) => options.resultsReader.open(eventId, cursor),
    },
    tickMs: config.LIVE_TICK_MS,
    nowMs,
    clock,
    onSnapshot: (positions) => {
      metrics.snapshotDevices.observe(positions);
      metrics.positionsSent.inc(positions);
    },
    onResume: (outcome) => metrics.resumes.inc({ outcome }),
    onReceived: (type) => metrics.messagesReceived.inc({ type }),
  };
  return startLiveServer({
    config,
    authenticate,
    tickets,
    handlers: createSocketHandlers({
      onOpen: (connection) => {
        metrics.admissions.inc({ credential: connection.viewer.credential.kind });
        return acceptClient(connection, clients, limits, messageContext);
      },
      limits: {
        highWaterBytes: config.LIVE_HIGH_WATER_BYTES,
        unansweredBytes: config.LIVE_UNANSWERED_BYTES,
        maxQueuedReplies,
      },
      traffic: meterTraffic(metrics),
      onError,
      nowMs: () => clock.nowMs(),
    }),
    isDraining: () => readiness.isDraining,
    connectionCount: () => clients.size,
    onUpgrade: (result) => metrics.upgrades.inc({ result }),
    onError,
  });
}
