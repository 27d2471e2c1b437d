import { machineRows } from '../describe-machine.ts';
import { fixed, whole } from '../format-number.ts';
import { markdownTable } from '../markdown-table.ts';
import type { GatewayResults } from './results.ts';
import { charts, goals, nameOf } from './charts.ts';

/** The results as a section of docs/benchmarks.md. */
export function gatewaySection(results: GatewayResults): string {
  const { fanout, idle, storm, slow } = results;
  return `## The live gateway

${conditions(results)}

${reachedGoals(results)}

### Fan-out

![bar chart of positions per second and core](benchmarks/${charts.fanOut})
![bar chart of CPU per frame](benchmarks/${charts.cost})

${fanOutTable(results)}

${whole(fanout.devices)} vehicles report once a second; clients are in processes of their own, those who only count at
a lower priority. CPU is that of the server's process, with all that it does: reading the stream, decoding, pings, metrics.
Each server has ${whole(fanout.warmUpMs / 1000)} s to get warm: a race takes hours. The raw limit is a bare loop of uWebSockets.js that sends
the frames which ${fanout.readers} of the gateway's clients have got, at the moments when they got them, to as many sockets. The two take
turns, with nothing to send while the other is measured; the ratios are medians of ${fanout.rounds} round(s). With a box each,
every client sees another half of the course and no two can share a frame.

What the gateway does for no client in particular, reading the stream and ticking, is spread over fewer frames where the
audience is small; and a frame for one client alone has to be put together, where the bare loop has it ready.

The peers, with ${whole(fanout.ws.connections)} clients, for they send ${whole(fanout.devices)} messages a second to each:

${peerTable(results)}

### Idle connections

${whole(idle.connections)} clients, authenticated and subscribed to an event in which nothing moves, take ${whole(idle.bytesPerConnection)} bytes each of the
gateway's resident memory: it has ${whole(idle.rssBeforeBytes / 2 ** 20)} MiB before them and ${whole(idle.rssAfterBytes / 2 ** 20)} MiB with them. What the kernel keeps for a socket comes on top.

### A storm

${whole(storm.connections)} clients with ${whole(storm.cookies)} session cookies are cut at once and come back within a second: the last one is live
${whole(storm.liveAfterMs)} ms after the cut, ${whole(storm.recovered)} of them resumed where they were, with ${whole(storm.directusCalls)} calls to Directus and ${whole(storm.databaseQueries)} queries to
the database.

### Slow readers

Of ${whole(slow.connections)} clients ${whole(slow.stalled)} stop reading. The others' p99 is ${fixed(slow.p99WithStalledMs, 0)} ms, against ${fixed(slow.p99Ms, 0)} ms without them; the gateway's memory
grows by ${fixed(slow.rssGrowthBytes / 2 ** 20, 1)} MiB, and it holds ${whole(slow.laggingConnections)} connections for lagging.`;
}

function conditions({ machine, servers }: GatewayResults): string {
  return markdownTable(
    ['', ''],
    [
      ...machineRows(machine),
      ['versions', `Node ${machine.node}, Redis ${servers.redis}, PostgreSQL ${servers.postgres}`],
    ],
  );
}

function reachedGoals({ fanout, idle, storm, slow }: GatewayResults): string {
  const p99GoalMs = fanout.intervalMs + goals.p99BeyondIntervalMs;
  const callsGoal = 2 * storm.cookies;
  const rows: [string, string, boolean][] = [
    ...fanout.rows.map((row): [string, string, boolean] => [
      `fan-out: at least ${goals.ratioToRaw} of the raw limit, ${nameOf(row)}`,
      fixed(row.ratioToRaw, 2),
      row.ratioToRaw >= goals.ratioToRaw,
    ]),
    [
      `fan-out: at least ${goals.ratioToSocketIo} times socket.io's positions per core`,
      fixed(fanout.ratioToSocketIo, 1),
      fanout.ratioToSocketIo >= goals.ratioToSocketIo,
    ],
    [
      `fan-out: p99 to the client at most ${p99GoalMs} ms, the distance of its flushes and ${goals.p99BeyondIntervalMs} ms`,
      `${fixed(fanout.p99Ms, 0)} ms`,
      fanout.p99Ms <= p99GoalMs,
    ],
    [
      `idle: at most ${whole(goals.bytesPerConnection)} bytes a connection`,
      whole(idle.bytesPerConnection),
      idle.bytesPerConnection <= goals.bytesPerConnection,
    ],
    [
      `storm: at most ${goals.databaseQueries} database query`,
      whole(storm.databaseQueries),
      storm.databaseQueries <= goals.databaseQueries,
    ],
    [
      `storm: at most ${whole(callsGoal)} calls to Directus, cookies and pairs of cookie and event`,
      whole(storm.directusCalls),
      storm.directusCalls <= callsGoal,
    ],
    [
      `slow: the others lose less than ${goals.othersLossShare * 100} % of their p99`,
      `${fixed(slow.othersLossShare * 100, 1)} %`,
      slow.othersLossShare < goals.othersLossShare,
    ],
  ];
  return markdownTable(
    ['goal', 'measured', 'reached'],
    rows.map(([goal, measured, isReached]) => [goal, measured, isReached ? 'yes' : '**no**']),
    [1],
  );
}

function fanOutTable({ fanout }: GatewayResults): string {
  return markdownTable(
    [
      '',
      'frames/s',
      'positions/s',
      'MB/s',
      'µs a frame',
      'raw µs',
      'of the raw limit',
      'to the socket p50, p99',
      'to the client p50, p99',
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
        `${fixed(gateway.toSocket.p50Ms, 0)}, ${fixed(gateway.toSocket.p99Ms, 0)} ms`,
        `${fixed(gateway.toClient.p50Ms, 0)}, ${fixed(gateway.toClient.p99Ms, 0)} ms`,
      ];
    }),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
}

function peerTable({ fanout }: GatewayResults): string {
  const [first] = fanout.rows;
  const cost = first?.gateway.cpuUsPerPosition ?? Number.NaN;
  return markdownTable(
    ['', 'positions/s', 'µs a position', 'the gateway is so many times as cheap', 'to the client p50, p99'],
    [
      ['the gateway, first row above', whole(first?.gateway.positionsPerS ?? 0), fixed(cost, 3), '', ''],
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
