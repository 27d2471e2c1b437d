import { machineRow } from '../describe-machine.ts';
import { fixed, whole } from '../format-number.ts';
import { type Goal, goalTable, markdownTable } from '../markdown-table.ts';
import type { GatewayResults } from './results.ts';
import { charts, goals, nameOf } from './charts.ts';

/** The results as a section of docs/benchmarks.md. */
export function gatewaySection(results: GatewayResults): string {
  const { fanout, idle, storm, slow } = results;
  return `## Live gateway

${conditions(results)}

${goalTable(goalsOf(results))}

### Fan-out
![bar chart of positions per second and core](benchmarks/${charts.fanOut})
![bar chart of CPU per frame](benchmarks/${charts.cost})

${fanOutTable(results)}

${whole(fanout.devices)} vehicles report once per second. Clients run in separate processes; those that only count have a lower priority. CPU is
that of the server's process, including reading the stream, decoding, pings and metrics. Each server warms up for ${whole(fanout.warmUpMs / 1000)} s. The raw limit is a
bare uWebSockets.js loop that sends the recorded frames of ${fanout.readers} of the gateway's clients, at the recorded times,
to as many sockets. Both are measured in alternation; ratios are medians of ${fanout.rounds} round(s). With a box per client, no two
clients can share a frame. The gateway's fixed costs, reading the stream and ticking, weigh more with few clients. A frame for a single
client must be assembled, while the raw limit has it ready.

Peers send ${whole(fanout.devices)} messages per second to each client, so they are measured with ${whole(fanout.ws.connections)} clients:

${peerTable(results)}

### Idle, reconnecting and slow clients
- **Idle.** ${whole(idle.connections)} authenticated clients, subscribed to an event in which nothing moves, take ${whole(idle.bytesPerConnection)} bytes of resident memory each
  (${whole(idle.rssBeforeBytes / 2 ** 20)} MiB before, ${whole(idle.rssAfterBytes / 2 ** 20)} MiB after). Socket buffers of the kernel are not included.
- **Reconnect storm.** ${whole(storm.connections)} clients with ${whole(storm.cookies)} session cookies are cut at once and reconnect within a second. The last one is live
  ${whole(storm.liveAfterMs)} ms after the cut; ${whole(storm.recovered)} resumed without a snapshot. It took ${whole(storm.directusCalls)} requests to Directus and ${whole(storm.databaseQueries)} database queries.
- **Slow readers.** ${whole(slow.stalled)} of ${whole(slow.connections)} clients stop reading. The p99 of the others is ${fixed(slow.p99WithStalledMs, 0)} ms, ${fixed(slow.p99Ms, 0)} ms without them. The gateway's memory
  grows by ${fixed(slow.rssGrowthBytes / 2 ** 20, 1)} MiB and it counts ${whole(slow.laggingConnections)} lagging connections.`;
}

function conditions({ machine, servers }: GatewayResults): string {
  return markdownTable(
    ['', ''],
    [
      machineRow(machine),
      ['versions', `Node ${machine.node}, Redis ${servers.redis}, PostgreSQL ${servers.postgres}`],
    ],
  );
}

function goalsOf({ fanout, idle, storm, slow }: GatewayResults): readonly Goal[] {
  const p99Ms = fanout.intervalMs + goals.p99BeyondIntervalMs;
  const directusCalls = 2 * storm.cookies;
  return [
    ...fanout.rows.map((row) => ({
      goal: `fan-out: at least ${goals.ratioToRaw} of the raw limit, ${nameOf(row)}`,
      measured: fixed(row.ratioToRaw, 2),
      isReached: row.ratioToRaw >= goals.ratioToRaw,
    })),
    {
      goal: `fan-out: at least ${goals.ratioToSocketIo} times socket.io's positions per core`,
      measured: fixed(fanout.ratioToSocketIo, 1),
      isReached: fanout.ratioToSocketIo >= goals.ratioToSocketIo,
    },
    {
      goal: `fan-out: p99 to the client at most ${p99Ms} ms, the flush interval plus ${goals.p99BeyondIntervalMs} ms`,
      measured: `${fixed(fanout.p99Ms, 0)} ms`,
      isReached: fanout.p99Ms <= p99Ms,
    },
    {
      goal: `idle: at most ${whole(goals.bytesPerConnection)} bytes per connection`,
      measured: whole(idle.bytesPerConnection),
      isReached: idle.bytesPerConnection <= goals.bytesPerConnection,
    },
    {
      goal: `storm: at most ${goals.databaseQueries} database query`,
      measured: whole(storm.databaseQueries),
      isReached: storm.databaseQueries <= goals.databaseQueries,
    },
    {
      goal: `storm: at most ${whole(directusCalls)} requests to Directus, two per session cookie`,
      measured: whole(storm.directusCalls),
      isReached: storm.directusCalls <= directusCalls,
    },
    {
      goal: `slow readers: the p99 of the others grows by less than ${goals.othersLossShare * 100} %`,
      measured: `${fixed(slow.othersLossShare * 100, 1)} %`,
      isReached: slow.othersLossShare < goals.othersLossShare,
    },
  ];
}

function fanOutTable({ fanout }: GatewayResults): string {
  return markdownTable(
    [
      '',
      'frames/s',
      'positions/s',
      'MB/s',
      'µs per frame',
      'raw limit µs',
      'ratio to raw limit',
      'to client p50, p99',
    ],
    fanout.rows.map((row) => {
      const { gateway, raw, ratioToRaw } = row;
      return [
        nameOf(row),
        whole(gateway.framesPerS),
        whole(gateway.positionsPerS),
        fixed(gateway.bytesPerS / 1e6, 1),
        fixed(gateway.cpuUsPerFrame, 1),
        fixed(raw.cpuUsPerFrame, 1),
        fixed(ratioToRaw, 2),
        `${fixed(gateway.toClient.p50Ms, 0)}, ${fixed(gateway.toClient.p99Ms, 0)} ms`,
      ];
    }),
    [1, 2, 3, 4, 5, 6, 7],
  );
}

function peerTable({ fanout }: GatewayResults): string {
  const [first] = fanout.rows;
  const cost = first?.gateway.cpuUsPerPosition ?? Number.NaN;
  return markdownTable(
    ['', 'positions/s', 'µs per position', 'ratio of the gateway', 'to client p50, p99'],
    [
      ['gateway, first row above', whole(first?.gateway.positionsPerS ?? 0), fixed(cost, 3), '', ''],
      ...(
        [
          ['socket.io with its Redis streams adapter', fanout.socketIo, fanout.ratioToSocketIo],
          ['ws', fanout.ws, fanout.ratioToWs],
        ] as const
      ).map(([name, peer, ratio]) => [
        name,
        whole(peer.positionsPerS),
        fixed(peer.cpuUsPerPosition, 3),
        fixed(ratio, 1),
        `${fixed(peer.toClient.p50Ms, 0)}, ${fixed(peer.toClient.p99Ms, 0)} ms`,
      ]),
    ],
    [1, 2, 3, 4],
  );
}
