import assert from 'node:assert/strict';
import { eventually } from '@app/test-kit/eventually';
import { docker } from './docker.ts';
import type { Container, Stack } from './stack.ts';
import { step } from './step.ts';
import type { Viewers } from './viewers.ts';

export interface FaultWorld {
  readonly stack: Stack;
  readonly viewers: Viewers;
  /** Rows in `positions`. */
  readonly countStored: () => Promise<number>;
  /** Records that Redis has taken. */
  readonly countSent: () => number;
}

const progressLimitMs = 120_000;

/** Stops and kills a gateway and the processor, one after the other, under load. */
export async function goThroughFaults(world: FaultWorld): Promise<void> {
  const { stack, viewers } = world;
  const [first, second] = await gatewaysByViewers(stack);
  assert.ok(first && second, 'two gateways run');

  await step('a gateway is stopped: it leaves with exit code 0, its viewers go on at the other', async () => {
    assert.equal(await stop(stack, 'live-gateway', first), 0);
    await viewers.untilLive();
    await viewers.untilAllMoved();
    assert.ok((await countViewers(second)) > 0);
    await start(stack, first);
  });

  await step('the processor is stopped: it stores what is in hand and leaves with exit code 0', async () => {
    const processor = await stack.containerOf('processor');
    await untilMoreIsStored(world);
    assert.equal(await stop(stack, 'processor', processor), 0);
    await viewers.untilAllMoved();
    await untilMoreIsSent(world);
    await start(stack, processor);
    await untilMoreIsStored(world);
  });

  await step('the processor is killed, with entries in hand', async () => {
    const processor = await stack.containerOf('processor');
    await untilMoreIsStored(world);
    assert.equal(await kill(stack, 'processor', processor), 137);
    await untilMoreIsSent(world);
    await start(stack, processor);
    await untilMoreIsStored(world);
  });

  await step('the other gateway is killed: its viewers come back to the first', async () => {
    assert.equal(await kill(stack, 'live-gateway', second), 137);
    await viewers.untilAllMoved();
    await viewers.untilLive();
    assert.ok((await countViewers(first)) > 0);
    await start(stack, second);
  });
}

async function stop(stack: Stack, service: string, { name }: Container): Promise<number> {
  // As compose would: within the service's stop_grace_period, which is more than its drain takes.
  await docker(['stop', '-t', '40', name], { timeoutMs: 90_000 });
  return await exitCodeOf(stack, service, name);
}

async function kill(stack: Stack, service: string, { name }: Container): Promise<number> {
  await docker(['kill', name]);
  return await exitCodeOf(stack, service, name);
}

async function exitCodeOf(stack: Stack, service: string, name: string): Promise<number> {
  return await eventually(
    async () => {
      const container = (await stack.containersOf(service)).find((each) => each.name === name);
      return container?.isRunning === false ? container.exitCode : undefined;
    },
    { timeoutMs: progressLimitMs, intervalMs: 100 },
  );
}

async function start(stack: Stack, { name }: Container): Promise<void> {
  await docker(['start', name]);
  await stack.untilHealthy(name);
}

async function untilMoreIsStored({ countStored }: FaultWorld): Promise<void> {
  const before = await countStored();
  await eventually(async () => (await countStored()) > before, {
    timeoutMs: progressLimitMs,
    intervalMs: 100,
  });
}

/** A thousand records that nobody stores meanwhile. */
async function untilMoreIsSent({ countSent }: FaultWorld): Promise<void> {
  const before = countSent();
  await eventually(() => countSent() > before + 1_000, { timeoutMs: progressLimitMs, intervalMs: 50 });
}

/** The one with the most viewers first: nginx draws lots, and to stop one that has none would prove nothing. */
async function gatewaysByViewers(stack: Stack): Promise<readonly Container[]> {
  const gateways = await stack.containersOf('live-gateway');
  const counted = await Promise.all(
    gateways.map(async (gateway) => ({ gateway, viewers: await countViewers(gateway) })),
  );
  return counted.toSorted((a, b) => b.viewers - a.viewers).map(({ gateway }) => gateway);
}

/** As the gateway itself counts them; its ops port is open inside of its network only. */
async function countViewers({ name }: Container): Promise<number> {
  const ask = 'fetch("http://127.0.0.1:9090/metrics").then((r) => r.text()).then(console.log)';
  const metrics = await docker(['exec', name, 'node', '-e', ask]);
  const [, count] = /^live_connections(?:\{[^}]*\})? (\d+)$/mu.exec(metrics) ?? [];
  assert.ok(count, 'the gateway tells its connections');
  return Number(count);
}
