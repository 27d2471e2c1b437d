import assert from 'node:assert/strict';
import { eventually } from '@app/test-kit/eventually';
import { docker } from './docker.ts';
import type { Container, Stack } from './stack.ts';
import { step } from './step.ts';
import type { Viewers } from './viewers.ts';

export interface FaultContext {
  readonly stack: Stack;
  readonly viewers: Viewers;
  /** Rows in `positions`. */
  readonly countStored: () => Promise<number>;
  /** Records added to Redis. */
  readonly countSent: () => number;
}

const progressTimeoutMs = 120_000;

/** Stops and kills the gateways and the processor under load. */
export async function runFaults(context: FaultContext): Promise<void> {
  const { stack, viewers } = context;
  const [first, second] = await gatewaysByViewers(stack);
  assert.ok(first && second, 'expected two gateways');

  await step('a stopped gateway exits with 0 and its viewers reconnect to the other', async () => {
    assert.equal(await stop(stack, 'live-gateway', first), 0);
    await viewers.untilLive();
    await viewers.untilAllMoved();
    assert.ok((await countViewers(second)) > 0);
    await start(stack, first);
  });

  await step('a stopped processor exits with 0 and continues after its restart', async () => {
    const processor = await stack.containerOf('processor');
    await untilMoreIsStored(context);
    assert.equal(await stop(stack, 'processor', processor), 0);
    await viewers.untilAllMoved();
    await untilMoreIsSent(context);
    await start(stack, processor);
    await untilMoreIsStored(context);
  });

  await step('a killed processor continues after its restart', async () => {
    const processor = await stack.containerOf('processor');
    await untilMoreIsStored(context);
    assert.equal(await kill(stack, 'processor', processor), 137);
    await untilMoreIsSent(context);
    await start(stack, processor);
    await untilMoreIsStored(context);
  });

  await step('the viewers of a killed gateway reconnect to the other', async () => {
    assert.equal(await kill(stack, 'live-gateway', second), 137);
    await viewers.untilAllMoved();
    await viewers.untilLive();
    assert.ok((await countViewers(first)) > 0);
    await start(stack, second);
  });
}

async function stop(stack: Stack, service: string, { name }: Container): Promise<number> {
  // The same period as the gateway's stop_grace_period.
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
    { timeoutMs: progressTimeoutMs, intervalMs: 100 },
  );
}

async function start(stack: Stack, { name }: Container): Promise<void> {
  await docker(['start', name]);
  await stack.untilHealthy(name);
}

async function untilMoreIsStored({ countStored }: FaultContext): Promise<void> {
  const before = await countStored();
  await eventually(async () => (await countStored()) > before, {
    timeoutMs: progressTimeoutMs,
    intervalMs: 100,
  });
}

/** Waits for 1,000 more records. */
async function untilMoreIsSent({ countSent }: FaultContext): Promise<void> {
  const before = countSent();
  await eventually(() => countSent() > before + 1_000, { timeoutMs: progressTimeoutMs, intervalMs: 50 });
}

/** Most viewers first: nginx distributes randomly, and stopping a gateway without viewers would test nothing. */
async function gatewaysByViewers(stack: Stack): Promise<readonly Container[]> {
  const gateways = await stack.containersOf('live-gateway');
  const counts = await Promise.all(
    gateways.map(async (gateway) => ({ gateway, viewers: await countViewers(gateway) })),
  );
  return counts.toSorted((a, b) => b.viewers - a.viewers).map(({ gateway }) => gateway);
}

/** From the gateway's metrics, whose port is reachable only inside its container. */
async function countViewers({ name }: Container): Promise<number> {
  const script = 'fetch("http://127.0.0.1:9090/metrics").then((r) => r.text()).then(console.log)';
  const metrics = await docker(['exec', name, 'node', '-e', script]);
  const [, count] = /^live_connections(?:\{[^}]*\})? (\d+)$/mu.exec(metrics) ?? [];
  assert.ok(count, 'live_connections is missing');
  return Number(count);
}
