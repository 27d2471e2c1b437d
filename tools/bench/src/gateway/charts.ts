import { barChart } from '../bar-chart.ts';
import { whole } from '../format-number.ts';
import type { FanOutRow } from './bench-fan-out.ts';
import type { GatewayResults } from './results.ts';

export const charts = { fanOut: 'gateway-fan-out.svg', cost: 'gateway-cost.svg' } as const;

export const goals = {
  ratioToRaw: 0.85,
  ratioToSocketIo: 8,
  /** In addition to the flush interval. */
  p99BeyondIntervalMs: 50,
  bytesPerConnection: 10 * 1024,
  databaseQueries: 1,
  othersLossShare: 0.05,
} as const;

export function nameOf({ connections, hasBoxes }: FanOutRow): string {
  return `${whole(connections)} clients${hasBoxes ? ', a box each' : ''}`;
}

/** SVG by file name. */
export function gatewayCharts({ fanout }: GatewayResults): Readonly<Record<string, string>> {
  const [first] = fanout.rows;
  return {
    [charts.fanOut]: barChart({
      title: 'Positions per second of one core',
      unit: 'positions/s',
      digits: 0,
      parts: ['positions/s'],
      arrangement: 'grouped',
      bars: [
        { label: 'raw limit', values: [first?.raw.positionsPerCoreS ?? 0] },
        { label: 'live gateway', values: [first?.gateway.positionsPerCoreS ?? 0] },
        { label: 'ws, a message per position', values: [fanout.ws.positionsPerCoreS] },
        { label: 'socket.io', values: [fanout.socketIo.positionsPerCoreS] },
      ],
    }),
    [charts.cost]: barChart({
      title: 'CPU per frame',
      unit: 'µs',
      digits: 1,
      parts: ['live gateway', 'raw limit'],
      arrangement: 'grouped',
      bars: fanout.rows.map((row) => ({
        label: nameOf(row),
        values: [row.gateway.cpuUsPerFrame, row.raw.cpuUsPerFrame],
      })),
    }),
  };
}
