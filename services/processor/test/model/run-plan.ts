import { setTimeout as wait } from 'node:timers/promises';
import { processorSettings, type ProcessorConfig } from '../../src/config.ts';
import { judgeRun } from './judge.ts';
import { Life } from './life.ts';
import { Scene, type SceneOptions } from './scene.ts';
import type { Plan, Setup, Step } from './steps.ts';

const blockMs = 100;
const claimIdleMs = 60;
const neverMs = 3_600_000;

/** What became of one run: empty accusations mean that the promise was kept. */
export interface RunReport {
  readonly accusations: readonly string[];
  readonly notes: readonly string[];
  readonly happened: ReadonlyMap<string, number>;
}

/**
 * Plays one plan on a stream of its own, then takes all troubles away, lets one consumer run until it is idle, and
 * judges what is left.
 */
export async function runPlan(plan: Plan, options: SceneOptions): Promise<RunReport> {
  const scene = new Scene(options);
  const stage = new Stage(scene, plan.setup);
  try {
    if (plan.setup.beginsRunning) await stage.start(0);
    for (const { step, calls } of plan.steps) {
      scene.note('-', JSON.stringify(step));
      await stage.play(step);
      await scene.callsPass(calls, () => stage.areIdle());
    }
    await scene.callsPass(Number.POSITIVE_INFINITY, () => stage.areIdle());
    const last = await stage.drain();
    await judgeRun(scene, stage.lives, last);
  } catch (error) {
    scene.accuse(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await stage.clear();
  }
  return { accusations: scene.accusations, notes: scene.notes, happened: scene.happened };
}

class Stage {
  readonly #scene: Scene;
  readonly #setup: Setup;
  readonly #config: ProcessorConfig;
  readonly #lives: Life[] = [];
  readonly #current: (Life | undefined)[] = [];
  readonly #pending: Promise<unknown>[] = [];

  constructor(scene: Scene, setup: Setup) {
    this.#scene = scene;
    this.#setup = setup;
    this.#config = configOf(scene, setup);
  }

  get lives(): readonly Life[] {
    return this.#lives;
  }

  /** Everyone waits for new entries. */
  areIdle(): boolean {
    return this.#lives.every((life) => life.ending !== 'running' || life.isStalled || life.isBlocked);
  }

  async play(step: Step): Promise<void> {
    const { redis, stream, group, ledger, faults } = this.#scene;
    switch (step.do) {
      case 'add':
        for (const draft of step.drafts) {
          const { id, fields } = ledger.write(draft);
          await redis.xadd(stream, id, ...fields);
        }
        return;
      case 'arm':
        faults.arm(step.fault);
        return;
      case 'start':
        await this.start(step.who);
        return;
      case 'stop':
        // Not waited for: other things go on happening meanwhile.
        this.#pending.push(this.#stop(step.who));
        return;
      case 'stall':
        this.#life(step.who)?.stall();
        return;
      case 'wake':
        this.#life(step.who)?.wake();
        return;
      case 'kill':
        this.#life(step.who)?.die(step.isHalfOpen);
        return;
      case 'trim':
        await this.#remove('XTRIM', stream, 'MAXLEN', step.keep);
        return;
      case 'delete': {
        const ids = [...ledger.sent.keys()];
        const id = ids[ids.length - 1 - step.nth];
        if (id !== undefined) await this.#remove('XDEL', stream, id);
        return;
      }
      case 'lose Redis':
        this.#pending.push(Promise.all(this.#lives.map((life) => life.loseRedis(step.downMs))));
        return;
      case 'restart Redis':
        await this.#scene.restartRedis();
        return;
      case 'lose stream':
        await this.#remove('DEL', stream);
        return;
      case 'lose group':
        await redis.xgroup('DESTROY', stream, group).catch(() => undefined);
        this.#scene.noteGroupLost();
    }
  }

  async start(who: number): Promise<Life | undefined> {
    if (who > 0 && !this.#setup.hasSecondConsumer) return undefined;
    const life = this.#life(who);
    // A stalled one is replaced under the same name, as a lost node's pod is.
    if (life !== undefined && !life.isStalled) return life;
    const fresh = new Life(this.#scene, `${'AB'[who]}${this.#lives.length + 1}`, `consumer-${who}`);
    this.#lives.push(fresh);
    this.#current[who] = fresh;
    await fresh.begin(this.#config);
    return fresh;
  }

  /** Takes all troubles away and lets the first consumer do what is left; the others die. */
  async drain(): Promise<Life> {
    const { faults } = this.#scene;
    this.#scene.note('-', 'drain');
    faults.clear();
    for (const life of this.#lives) {
      if (life.isStalled) life.wake();
      if (life !== this.#life(0)) life.die(false);
    }
    await Promise.all(this.#pending);
    await this.#scene.settleAfterwards();
    for (;;) {
      await this.#untilAllIsRead();
      const last = this.#life(0);
      await last?.stop();
      // A read that waited since before the drain may still have had its death before it.
      if (last !== undefined && last.ending !== 'dead') return last;
    }
  }

  async #untilAllIsRead(): Promise<void> {
    let standing = '';
    let changedAtMs = performance.now();
    for (;;) {
      await this.start(0);
      this.#life(0)?.calm();
      const left = await this.#whatIsLeft();
      if (left === undefined) return;
      if (left !== standing) changedAtMs = performance.now();
      standing = left;
      if (performance.now() - changedAtMs > this.#scene.stillLimitMs)
        throw new Error(`nothing moves any more: ${left}`);
      await wait(10);
    }
  }

  async #whatIsLeft(): Promise<string | undefined> {
    const { redis, stream, group } = this.#scene;
    const [pending, groups] = await Promise.all([
      redis.xpending(stream, group),
      redis.xinfo('GROUPS', stream),
    ]).catch(() => [undefined, undefined]);
    const lastDeliveredId = lastDelivered(groups);
    if (pending === undefined || lastDeliveredId === undefined) return 'there is no group';
    const unread = await redis.xrange(stream, `(${lastDeliveredId}`, '+', 'COUNT', 1);
    if (pending[0] === 0 && unread.length === 0 && this.areIdle()) return undefined;
    return `read up to ${lastDeliveredId}, pending: ${pending.slice(0, 3).join(' ')}`;
  }

  async clear(): Promise<void> {
    for (const life of this.#lives) life.die(false);
    await Promise.all(this.#lives.map((life) => life.ended()));
  }

  #life(who: number): Life | undefined {
    const life = this.#current[who];
    return life?.ending === 'running' ? life : undefined;
  }

  async #stop(who: number): Promise<void> {
    const life = this.#life(who);
    if (life === undefined) return;
    this.#current[who] = undefined;
    await life.stop();
    if (life.ending !== 'stopped') return;
    const { redis, stream, group } = this.#scene;
    const left = await redis.xpending(stream, group, '-', '+', 1000, life.consumer).catch(() => []);
    for (const row of left) {
      const id = Array.isArray(row) ? String(row[0]) : '';
      if (life.received.has(id) && this.#current[who] === undefined) {
        this.#scene.accuse(`${life.name} stopped cleanly and left ${id} to be delivered again`);
      }
    }
  }

  /** Takes entries out of the stream, and notes which of them nobody had been given. */
  async #remove(command: string, ...args: (string | number)[]): Promise<void> {
    const { redis, stream, ledger } = this.#scene;
    this.#scene.count(command);
    const results = await redis
      .multi()
      .xinfo('GROUPS', stream)
      .xrange(stream, '-', '+')
      .call(command, ...args)
      .xrange(stream, '-', '+')
      .exec();
    const [groups, before, , after] = (results ?? []).map(([error, reply]) => (error === null ? reply : []));
    const kept = new Set(idsOf(after));
    const removed = idsOf(before).filter((id) => !kept.has(id));
    ledger.remove(removed, lastDelivered(groups), command === 'XTRIM');
    if (command === 'DEL') this.#scene.noteGroupLost();
  }
}

function idsOf(reply: unknown): readonly string[] {
  return Array.isArray(reply) ? reply.map((row) => (Array.isArray(row) ? String(row[0]) : '')) : [];
}

function lastDelivered(groups: unknown): string | undefined {
  const flat: unknown = Array.isArray(groups) ? groups[0] : undefined;
  if (!Array.isArray(flat)) return undefined;
  return String(flat[flat.indexOf('last-delivered-id') + 1]);
}

function configOf(scene: Scene, setup: Setup): ProcessorConfig {
  const settings = processorSettings.parse({
    NODE_ENV: 'test',
    REDIS_URL: scene.redisUrl,
    POSTGRES_URL: 'postgres://127.0.0.1/unused',
    REDIS_TELEMETRY_STREAM: scene.stream,
    REDIS_CONSUMER_GROUP: scene.group,
  });
  return {
    ...settings,
    BATCH_SIZE: setup.readCount,
    BATCH_BLOCK_MS: blockMs,
    WRITE_BATCH_SIZE: setup.batchSize,
    WRITE_LINGER_MS: setup.lingerMs,
    WRITE_CONCURRENCY: setup.concurrency,
    MAX_DELIVERIES: setup.maxDeliveries,
    // What is kept for so many is reserved at once, and each run has several lives.
    DEVICE_STATE_CAP: 100,
    CLAIM_IDLE_MS: setup.hasSecondConsumer ? claimIdleMs : neverMs,
    CLAIM_INTERVAL_MS: setup.hasSecondConsumer ? claimIdleMs : neverMs,
  };
}
