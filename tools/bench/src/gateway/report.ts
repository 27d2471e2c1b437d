import { barChart } from '../bar-chart.ts';
import type { Outcome } from '../benchmark.ts';
import type { Machine } from '../describe-machine.ts';
import { formatNumber } from '../format-number.ts';
import { conditions, type Goal, goalTable, markdownTable } from '../report.ts';
import type { ServerSettings } from '../servers.ts';
import type { FanOutResults, FanOutRow } from './bench-fan-out.ts';
import type { IdleResults } from './bench-idle.ts';
import type { SlowResults } from './bench-slow.ts';
import type { StormResults } from './bench-storm.ts';

export interface GatewayResults {
  readonly machine: Machine;
  readonly servers: ServerSettings;
  readonly devices: number;
  readonly fanOut: FanOutResults;
  readonly idle: IdleResults;
  readonly storm: StormResults;
  readonly slow: SlowResults;
}

/** The default interval between two writes to a client. */
const flushMs = 250;

export function reportGateway(results: GatewayResults): Outcome {
  const { rows, ws, socketIo } = results.fanOut;
  const [first] = rows;
  const charts = {
    'gateway-fan-out.svg': barChart({
      title: 'Positions per second of one core',
      unit: 'positions/s',
      bars: [
        { label: 'raw limit', value: first?.raw.positionsPerCoreS ?? 0 },
        { label: 'live gateway', value: first?.gateway.positionsPerCoreS ?? 0 },
        { label: 'ws, a message per position', value: ws.positionsPerCoreS },
        { label: 'socket.io', value: socketIo.positionsPerCoreS },
      ],
    }),
    'gateway-cost.svg': barChart({
      title: 'CPU per frame',
      unit: 'µs',
      bars: rows.flatMap((row) => [
        { label: nameOf(row), value: row.gateway.cpuUsPerFrame },
        { label: 'raw limit', value: row.raw.cpuUsPerFrame },
      ]),
    }),
  };
  return { results, section: section(results), charts };
}

function nameOf({ connections, hasBoxes }: FanOutRow): string {
  return `${formatNumber(connections)} clients${hasBoxes ? ', a box each' : ''}`;
}

function section(results: GatewayResults): string {
  const { machine, servers, devices, fanOut, idle, storm, slow } = results;
  const { sizes } = fanOut;
  return `## Live gateway

${conditions(machine, servers)}

${goalTable(goalsOf(results))}

### Fan-out

![bar chart of positions per second and core](benchmarks/gateway-fan-out.svg)
![bar chart of CPU per frame](benchmarks/gateway-cost.svg)

${fanOutTable(fanOut)}

${formatNumber(devices)} vehicles report once per second. Clients run in separate processes; those that only count have a lower priority.
CPU is that of the server's process, including reading the stream, decoding, pings and metrics. Each server warms up for
${formatNumber(sizes.warmUpMs / 1000)} s. The raw limit is a bare uWebSockets.js loop that sends recorded frames of some of the gateway's
clients, at the recorded times, to as many sockets. Both are measured in alternation; ratios are medians of ${sizes.rounds} round(s). With a box per client, no
two clients can share a frame. The gateway's fixed costs, reading the stream and ticking, weigh more with few clients.

Peers send ${formatNumber(devices)} messages per second to each client, so they are measured with ${formatNumber(sizes.peerConnections)} clients:

${peerTable(fanOut)}

### Idle connections

${formatNumber(idle.connections)} authenticated clients, subscribed to an event in which nothing moves, take ${formatNumber(idle.bytesPerConnection)} bytes of resident memory each
(${formatNumber(idle.rssBeforeBytes / 2 ** 20)} MiB before, ${formatNumber(idle.rssAfterBytes / 2 ** 20)} MiB after). Socket buffers of the kernel are not included.

### Reconnect storm

${formatNumber(storm.connections)} clients with ${formatNumber(storm.cookies)} session cookies are cut at once and reconnect within a second. The last one is live
${formatNumber(storm.liveAfterMs)} ms after the cut; ${formatNumber(storm.recovered)} resumed without a snapshot. It took ${formatNumber(storm.directusCalls)} requests to Directus and ${formatNumber(storm.databaseQueries)} database queries.

### Slow readers

${formatNumber(slow.stalled)} of ${formatNumber(slow.connections)} clients stop reading. The p99 of the others is ${formatNumber(slow.p99WithStalledMs)} ms, ${formatNumber(slow.p99Ms)} ms without them. The gateway's
memory grows by ${formatNumber(slow.rssGrowthBytes / 2 ** 20)} MiB and it counts ${formatNumber(slow.laggingConnections)} lagging connections.`;
}

function goalsOf({ fanOut, idle, storm, slow }: GatewayResults): readonly Goal[] {
  const { rows, socketIo } = fanOut;
  const perCore = rows[0]?.gateway.positionsPerCoreS ?? Number.NaN;
  const shared = rows.filter(({ hasBoxes }) => !hasBoxes);
  return [
    ...rows.map((row) => ({
      name: `fan-out: ratio to the raw limit, ${nameOf(row)}`,
      measured: row.ratioToRaw,
      atLeast: 0.85,
    })),
    {
      name: "fan-out: ratio to socket.io's positions per core",
      measured: perCore / socketIo.positionsPerCoreS,
      atLeast: 8,
    },
    {
      name: 'fan-out: p99 to the client in ms, the flush interval plus 50',
      measured: Math.max(...shared.map(({ gateway }) => gateway.p99Ms)),
      atMost: flushMs + 50,
    },
    { name: 'idle: bytes per connection', measured: idle.bytesPerConnection, atMost: 10 * 1024 },
    { name: 'storm: database queries', measured: storm.databaseQueries, atMost: 1 },
    {
      name: 'storm: requests to Directus, two per session cookie',
      measured: storm.directusCalls,
      atMost: 2 * storm.cookies,
    },
    {
      name: 'slow readers: p99 of the others, relative to that without slow readers',
      measured: slow.p99WithStalledMs / slow.p99Ms,
      atMost: 1.05,
    },
  ];
}

function fanOutTable({ rows }: FanOutResults): string {
  return markdownTable(
    [
      '',
      'frames/s',
      'positions/s',
      'MB/s',
      'µs per frame',
      'raw limit µs',
      'ratio to raw limit',
      'p50 ms',
      'p99 ms',
    ],
    rows.map((row) => [
      nameOf(row),
      row.gateway.framesPerS,
      row.gateway.positionsPerS,
      row.gateway.bytesPerS / 1e6,
      row.gateway.cpuUsPerFrame,
      row.raw.cpuUsPerFrame,
      row.ratioToRaw,
      row.gateway.p50Ms,
      row.gateway.p99Ms,
    ]),
  );
}

function peerTable({ rows, socketIo, ws }: FanOutResults): string {
  const gateway = rows[0]?.gateway ?? ws;
  const peers = [
    { name: 'gateway, first row above', sent: gateway },
    { name: 'socket.io with its Redis streams adapter', sent: socketIo },
    { name: 'ws', sent: ws },
  ];
  return markdownTable(
    ['', 'positions/s', 'µs per position', 'relative to the gateway', 'p50 ms', 'p99 ms'],
    peers.map(({ name, sent }) => [
      name,
      sent.positionsPerS,
      sent.cpuUsPerPosition,
      sent.cpuUsPerPosition / gateway.cpuUsPerPosition,
      sent.p50Ms,
      sent.p99Ms,
    ]),
  );
}
