import { makeBigRace } from '@app/demo/big-race';
import { feed } from '@app/fleet-sim/feed';
import { Tally } from '@app/fleet-sim/tally';
import { findContainerEngine } from '@app/test-kit/container-engine';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { checkImages } from './check-images.ts';
import { checkPrometheus } from './check-prometheus.ts';
import { checkRunning } from './check-running.ts';
import { checkSpectator } from './check-spectator.ts';
import { checkTestKit } from './check-test-kit.ts';
import { goThroughFaults } from './faults.ts';
import { proveNothingLost } from './prove-nothing-lost.ts';
import { proveViewersCurrent } from './prove-viewers-current.ts';
import { listLeft, prepareStack, type Stack } from './stack.ts';
import { step } from './step.ts';
import { Viewers } from './viewers.ts';

/** More than can be sent in the time that the faults take: the feed is ended, it does not end. */
const records = 150_000;
const recordsPerS = 400;
/** `makeBigRace` has a record of each of its 100 vehicles every 1.2 s. */
const speed = recordsPerS / (100 / 1.2);
const viewerCount = 8;
const stream = 'telemetry:teltonika';
const settleLimitMs = 120_000;

process.exitCode = await main();

async function main(): Promise<number> {
  if ((await findContainerEngine()) === undefined) {
    console.error(
      'container-test: no container engine answers. Start Docker, or say in DOCKER_HOST where it is',
    );
    return 1;
  }
  try {
    await step('all of the container test', testContainers);
    return 0;
  } catch (error) {
    console.error(error);
    return 1;
  }
}

async function testContainers(): Promise<void> {
  await step("the test-kit's Redis and Postgres run in containers, on 127.0.0.1, and go", checkTestKit);
  {
    await using stack = await prepareStack();
    try {
      await step('the images are built', () => stack.build());
      await step('the images are small and as they must be', checkImages);
      await testStack(stack);
    } catch (error) {
      console.error(await stack.lastSaid());
      throw error;
    }
  }
  const left = await listLeft();
  if (left.length > 0) throw new Error(`these are left: ${left.join(', ')}`);
}

async function testStack(stack: Stack): Promise<void> {
  await step('the system is up', async () => {
    // Without the simulated race: what is sent here is counted here.
    await stack.up(['nginx', 'seed', 'processor', 'prometheus', 'spectator']);
    await stack.untilHealthy((await stack.containerOf('processor')).name);
  });
  await step('the services run without rights, on a read-only file system', () => checkRunning(stack));

  await using stacked = new AsyncDisposableStack();
  const redis = stacked.adopt(new Redis(stack.redisUrl), (client) => client.disconnect());
  const sql = stacked.adopt(postgres(stack.postgresUrl, { max: 2 }), (client) => client.end());
  const viewers = stacked.use(
    await step(`${viewerCount} viewers are let in`, () => Viewers.enter(stack, viewerCount)),
  );

  const { sendings } = makeBigRace({ records, badShare: 0.01, seed: 1 });
  const tally = new Tally();
  const raceOver = new AbortController();
  const feeding = feed({ redis, stream, records: sendings, signal: raceOver.signal, speed, tally });
  // Its error is heard where it is awaited, after the faults.
  feeding.catch(() => undefined);
  const countStored = async (): Promise<number> => {
    const [row] = await sql<{ stored: number }[]>`select count(*)::int as stored from positions`;
    return row?.stored ?? 0;
  };
  try {
    await viewers.untilAllMoved();
    await goThroughFaults({ stack, viewers, countStored, countSent: () => tally.counts.records });
  } finally {
    raceOver.abort();
    await feeding;
  }
  const sent = sendings.slice(0, tally.counts.records);
  if (sent.length === sendings.length) throw new Error('the race was over before the last fault');

  const { stored, parked } = await step('nothing is lost', () =>
    proveNothingLost({ redis, sql, stream, sent, settleLimitMs }),
  );
  console.log(`container-test:   ${stored} fixes are stored, ${parked} records parked, none is missing`);
  await step('every viewer sees the newest positions', () => proveViewersCurrent(stack, sql, viewers));
  await step('Prometheus scrapes them all and has read the rules', () => checkPrometheus(stack));
  await step('fleet-sim and the spectator show a race', () => checkSpectator(stack));
}
