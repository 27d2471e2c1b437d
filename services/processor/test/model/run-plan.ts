import { setTimeout as wait } from 'node:timers/promises';
import { compareEntryIds } from '@app/shared/entry';
import { checkAcknowledged, checkOutcome, readGroup } from './check-outcome.ts';
import type { Plan, Step } from './plan.ts';
import { ProcessorInstance } from './processor-instance.ts';
import type { RunContext } from './run-context.ts';

/** Takes the steps of a plan; then, without faults, lets the first consumer finish, and checks the outcome. */
export async function runPlan(run: RunContext, plan: Plan, stillLimitMs: number): Promise<void> {
  const consumers = new Consumers(run, plan);
  try {
    if (plan.startsFirst) await consumers.start(0);
    for (const { step, requests } of plan.steps) {
      run.note('-', JSON.stringify(step));
      run.count(step.type);
      await consumers.take(step);
      await run.whenRequested(requests);
      await checkAcknowledged(run);
    }
    await consumers.finish(stillLimitMs);
    await checkOutcome(run);
    // Claims, a second process with the same name, and a new group bring older entries again.
    const reordering = ['pause', 'delete group', 'delete stream'].some((each) => run.counts.has(each));
    for (const each of consumers.instances) each.check(!plan.hasSecondConsumer && !reordering);
  } catch (error) {
    run.violate(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await Promise.all(consumers.instances.map((instance) => instance[Symbol.asyncDispose]()));
  }
}

/** The two consumers of the group, each with its processor instances, one after the other. */
class Consumers {
  readonly #run: RunContext;
  readonly #plan: Plan;
  readonly instances: ProcessorInstance[] = [];
  /** The newest instance of each consumer. */
  readonly #newest: (ProcessorInstance | undefined)[] = [];

  constructor(run: RunContext, plan: Plan) {
    this.#run = run;
    this.#plan = plan;
  }

  async take(step: Step): Promise<void> {
    const { stream, sent, servers, faults, background } = this.#run;
    const { redis, restartRedis } = servers;
    switch (step.type) {
      case 'send':
        for (const draft of step.drafts) {
          const { id, fields } = sent.add(draft);
          await redis.xadd(stream, id, ...fields);
        }
        return;
      case 'fault':
        return void faults.push({ fault: step.fault, left: step.fault.skip });
      case 'start':
        return await this.start(step.consumer);
      case 'stop':
        background.push((async () => await this.#running(step.consumer)?.stop())());
        this.#newest[step.consumer] = undefined;
        return;
      case 'pause':
        return this.#running(step.consumer)?.pause();
      case 'resume':
        return this.#running(step.consumer)?.resume();
      case 'crash':
        return this.#running(step.consumer)?.crash();
      case 'restart Redis':
        return await restartRedis?.();
      case 'trim':
        return await this.#remove(redis.xtrim(stream, 'MAXLEN', step.maxLength));
      case 'delete':
        return await this.#remove(redis.xdel(stream, [...sent.entries.keys()].at(-1 - step.back) ?? '0-1'));
      case 'delete stream':
        return await this.#remove(redis.del(stream));
      case 'delete group':
        await redis.xgroup('DESTROY', stream, 'processor').catch(() => undefined);
    }
  }

  /** Starts an instance of the consumer if none is running; a paused one is replaced, as one on a lost node is. */
  async start(consumer: number): Promise<void> {
    const { env, hasSecondConsumer } = this.#plan;
    const running = this.#running(consumer);
    if (consumer > 0 && !hasSecondConsumer) return;
    if (running !== undefined && running.paused === undefined) return;
    const instance = new ProcessorInstance(this.#run, `${'AB'[consumer]}${this.instances.length + 1}`);
    this.instances.push(instance);
    this.#newest[consumer] = instance;
    const claimMs = hasSecondConsumer ? '100' : '3600000';
    await instance.start({
      ...env,
      REDIS_CONSUMER_NAME: `consumer-${consumer}`,
      BATCH_BLOCK_MS: '100',
      CLAIM_IDLE_MS: claimMs,
      CLAIM_INTERVAL_MS: claimMs,
      // Memory for all of it is allocated at the start.
      DEVICE_STATE_CAP: '100',
    });
  }

  #running(consumer: number): ProcessorInstance | undefined {
    const instance = this.#newest[consumer];
    return instance?.status === 'running' ? instance : undefined;
  }

  /** Waits for a removal, and logs which entries the stream has lost. */
  async #remove(removal: Promise<unknown>): Promise<void> {
    await removal;
    const { stream, sent, servers } = this.#run;
    const kept = new Set((await servers.redis.xrange(stream, '-', '+')).map(([id]) => id));
    for (const id of sent.entries.keys()) if (!kept.has(id)) sent.removedIds.add(id);
  }

  async finish(stillLimitMs: number): Promise<void> {
    this.#run.note('-', 'no more faults');
    this.#run.faults = [];
    for (const instance of this.instances) {
      instance.resume();
      if (instance !== this.#running(0)) instance.crash();
    }
    await Promise.all(this.#run.background);
    let last: string | undefined;
    for (let changedAtMs = performance.now(); ; await wait(10)) {
      await this.start(0);
      const left = await this.#describeLeft();
      if (left === undefined && (await this.#running(0)?.stop()) === 'stopped') return;
      if (left !== last) changedAtMs = performance.now();
      last = left;
      if (performance.now() - changedAtMs > stillLimitMs) throw new Error(`no progress: ${left}`);
    }
  }

  /** Describes what is not acknowledged; undefined if all is. */
  async #describeLeft(): Promise<string | undefined> {
    const { entries, removedIds } = this.#run.sent;
    const group = await readGroup(this.#run);
    if (group === undefined) return 'there is no group';
    const lastId = [...entries.keys()].findLast((id) => !removedIds.has(id)) ?? '0-0';
    const isRead = compareEntryIds(lastId, group.lastDeliveredId) <= 0;
    if (isRead && group.pendingIds.size === 0) return undefined;
    return `read up to ${group.lastDeliveredId}, pending: ${[...group.pendingIds].join(' ')}`;
  }
}
