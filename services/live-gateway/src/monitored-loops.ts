import type { GatewayConfig } from './config.ts';
import { replyMarginMs } from './feed/read-stream.ts';
import type { GatewayState } from './gateway-state.ts';
import type { MonitoredLoop } from './server/check-progress.ts';

const tickLimitMs = 15_000;
/** Time in one iteration of a read loop besides XREAD: applying, waiting for a tick, backoff. */
const readOverheadMs = 15_000;

/** The loops that the liveness probe watches, with the longest time each may go without progress. */
export function monitoredLoops(
  { fanOut, cursors }: Pick<GatewayState, 'fanOut' | 'cursors'>,
  config: GatewayConfig,
): readonly MonitoredLoop[] {
  const readLimitMs = 3 * (config.LIVE_BROADCAST_BATCH_BLOCK_MS + replyMarginMs + readOverheadMs);
  return [
    { name: 'tick', lastProgressAtMs: () => fanOut.tickedAtMs, limitMs: tickLimitMs },
    ...cursors.map((cursor) => ({
      name: `read ${cursor.stream}`,
      lastProgressAtMs: () => cursor.lastProgressAtMs,
      limitMs: readLimitMs,
    })),
  ];
}
