import type { Benchmark, Outcome } from '../benchmark.ts';
import { describeMachine } from '../describe-machine.ts';
import { openServers } from '../servers.ts';
import { benchFanOut, type FanOutSizes } from './bench-fan-out.ts';
import { benchIdle } from './bench-idle.ts';
import { benchSlow, type SlowSizes } from './bench-slow.ts';
import { benchStorm } from './bench-storm.ts';
import { openRace } from './race.ts';
import { reportGateway } from './report.ts';

interface Sizes {
  readonly users: number;
  readonly fanOut: FanOutSizes;
  readonly idleConnections: number;
  readonly stormConnections: number;
  readonly slow: SlowSizes;
}

const devices = 200;

const full: Sizes = {
  users: 500,
  fanOut: {
    connections: [1000, 5000],
    withBoxes: true,
    peerConnections: 100,
    warmUpMs: 30_000,
    rounds: 5,
    settleMs: 2000,
    measureMs: 6000,
  },
  idleConnections: 20_000,
  stormConnections: 5000,
  slow: { connections: 1000, measureMs: 10_000, rounds: 3 },
};

const quick: Sizes = {
  users: 50,
  fanOut: {
    connections: [1500],
    withBoxes: false,
    peerConnections: 60,
    warmUpMs: 1500,
    rounds: 1,
    settleMs: 500,
    measureMs: 2000,
  },
  idleConnections: 4000,
  stormConnections: 500,
  slow: { connections: 300, measureMs: 1500, rounds: 1 },
};

export const benchGateway: Benchmark = {
  measures: 'fan-out, idle connections, reconnect storm, slow readers',
  takes: '15 minutes, with --quick 1 minute',
  run: runGatewayBenchmark,
};

async function runGatewayBenchmark(isQuick: boolean, print: (line: string) => void): Promise<Outcome> {
  const sizes = isQuick ? quick : full;
  const machine = describeMachine();
  await using servers = await openServers(print);
  await using race = await openRace(servers, devices, sizes.users);
  const fanOut = await benchFanOut(race, sizes.fanOut, print);
  const slow = await benchSlow(race, sizes.slow, print);
  const storm = await benchStorm(race, sizes.stormConnections, print);
  const idle = await benchIdle(race, sizes.idleConnections, print);
  return reportGateway({ machine, servers: servers.settings, devices, fanOut, idle, storm, slow });
}
