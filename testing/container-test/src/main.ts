import { makeBigRace } from '@app/demo/big-race';
import { feed } from '@app/fleet-sim/feed';
import { Tally } from '@app/fleet-sim/tally';
import { readArguments } from '@app/runtime/read-arguments';
import { runTool } from '@app/runtime/run-tool';
import { findContainerEngine } from '@app/test-kit/container-engine';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { checkImages } from './check-images.ts';
import { checkPrometheus } from './check-prometheus.ts';
import { checkRunning } from './check-running.ts';
import { checkSpectator } from './check-spectator.ts';
import { checkTestKit } from './check-test-kit.ts';
import { runFaults } from './run-faults.ts';
import { checkNothingLost } from './check-nothing-lost.ts';
import { checkViewersCurrent } from './check-viewers-current.ts';
import { listResources, prepareStack, type Stack } from './stack.ts';
import { step } from './step.ts';
import { Viewers } from './viewers.ts';

/** More than can be sent during the faults, so that the feed never runs out. */
const records = 150_000;
const recordsPerS = 400;
/** `makeBigRace` has 100 vehicles, each with a record every 1.2 s. */
const speed = recordsPerS / (100 / 1.2);
const viewerCount = 8;
const stream = 'telemetry:teltonika';
const drainTimeoutMs = 120_000;

const usage = `usage: ./run container-test

Builds the images and tests the system in containers, with faults. Needs a container engine.
Exit codes: 0 passed, 1 failed, 2 wrong usage.`;

process.exitCode = await runTool({
  name: 'container-test',
  usage,
  read: () => readArguments(process.argv.slice(2), {}),
  run: main,
});

async function main(): Promise<number> {
  if ((await findContainerEngine()) === undefined) {
    console.error('container-test: no container engine answers. Start Docker or set DOCKER_HOST');
    return 1;
  }
  try {
    await step('container test', testContainers);
    return 0;
  } catch (error) {
    console.error(error);
    return 1;
  }
}

async function testContainers(): Promise<void> {
  await step("the test kit's Redis and Postgres run in containers and are removed", checkTestKit);
  {
    await using stack = await prepareStack();
    try {
      await step('build the images', () => stack.build());
      await step('check the images', checkImages);
      await testStack(stack);
    } catch (error) {
      console.error(await stack.recentLogs());
      throw error;
    }
  }
  const left = await listResources();
  if (left.length > 0) throw new Error(`not removed: ${left.join(', ')}`);
}

async function testStack(stack: Stack): Promise<void> {
  await step('start the system', async () => {
    // Without fleet-sim: this test sends and counts the records itself.
    await stack.up(['nginx', 'seed', 'processor', 'prometheus', 'spectator']);
    await stack.untilHealthy((await stack.containerOf('processor')).name);
  });
  await step('the services run unprivileged on a read-only file system', () => checkRunning(stack));

  await using stacked = new AsyncDisposableStack();
  const redis = stacked.adopt(new Redis(stack.redisUrl), (client) => client.disconnect());
  const sql = stacked.adopt(postgres(stack.postgresUrl, { max: 2 }), (client) => client.end());
  const viewers = stacked.use(
    await step(`${viewerCount} viewers connect`, () => Viewers.connect(stack, viewerCount)),
  );

  const { sendings } = makeBigRace({ records, badShare: 0.01, seed: 1 });
  const tally = new Tally();
  const stopFeed = new AbortController();
  const feeding = feed({ redis, stream, records: sendings, signal: stopFeed.signal, speed, tally });
  // Errors surface where it is awaited, after the faults.
  feeding.catch(() => undefined);
  const countStored = async (): Promise<number> => {
    const [row] = await sql<{ stored: number }[]>`
      select (select count(*) from positions)::int + (select count(*) from positions_past_limit)::int as stored`;
    return row?.stored ?? 0;
  };
  try {
    await viewers.untilAllMoved();
    await runFaults({ stack, viewers, countStored, countSent: () => tally.counts.records });
  } finally {
    stopFeed.abort();
    await feeding;
  }
  const sent = sendings.slice(0, tally.counts.records);
  if (sent.length === sendings.length) throw new Error('all records were sent before the last fault');

  const { stored, parked } = await step('nothing is lost', () =>
    checkNothingLost({ redis, sql, stream, sent, drainTimeoutMs }),
  );
  console.log(`container-test:   ${stored} fixes stored, ${parked} dead letters, none missing`);
  await step('every viewer sees the newest positions', () => checkViewersCurrent(stack, sql, viewers));
  await step('Prometheus scrapes all services and evaluates the rules', () => checkPrometheus(stack));
  await step('the spectator sees the race of fleet-sim', () => checkSpectator(stack));
}
