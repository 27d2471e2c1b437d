import { setTimeout as wait } from 'node:timers/promises';
import { createLog } from '@app/runtime/log';
import { closeRedis, connectRedis, type Redis } from '@app/runtime/redis';
import { Registry } from 'prom-client';
import type { ProcessorConfig } from '../../src/config.ts';
import type { DeviceState, StateTransition } from '../../src/state/device-states.ts';
import { PostgresClient } from '@app/runtime/postgres-client';
import { StreamLoop } from '../../src/pipeline/stream-loop.ts';
import { createMetrics, type Metrics } from '../../src/metrics.ts';
import type { PortCall, Trouble } from './faults.ts';
import { gatePostgres } from './postgres-gate.ts';
import { RedisGate, type GatedCommand } from './redis-gate.ts';
import type { RespValue } from './resp.ts';
import type { Scene } from './scene.ts';
import { isParked, isStored } from './witness.ts';

/** How a life ended. */
export type Ending = 'running' | 'stopped' | 'abandoned' | 'dead' | 'failed';

// Short, so that silence does not last; long enough for a machine that has other things to do.
const statementDeadlineMs = 1000;
const commandTimeoutMs = 500;
const calmCommandTimeoutMs = 10_000;
const drainLimitMs = 60_000;
/**
 * One life of a processor: the real loop, from its start to a clean stop, a failure or a sudden death. Whatever
 * a dead one still wants to do reaches nothing: only what was on its way to a server is still carried out there.
 */
export class Life {
  readonly name: string;
  readonly consumer: string;
  readonly metrics: Metrics;
  readonly #scene: Scene;
  readonly #stop = new AbortController();
  readonly #abandon = new AbortController();
  #gate: RedisGate | undefined;
  #redis: Redis | undefined;
  #awake: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;
  #stalledAtMs: number | undefined;
  /** How many losses there had been when it last asked where the group stands. */
  #lossesBefore = 0;
  #ending: Ending = 'running';
  #failure: unknown;
  #ended: Promise<void> = Promise.resolve();

  /** Entries by how often this life was given them by a read of new ones, in reading order, and in any other way. */
  readonly #givenNew = new Map<string, number>();
  readonly #givenAgain = new Set<string>();
  /** Given, and surely received. */
  readonly received = new Set<string>();
  readonly #vanished = new Set<string>();
  readonly #heard = new Map<string, StateTransition>();
  /** States as the domain has heard them, in this life. */
  readonly #chain = new Map<string, DeviceState>();

  constructor(scene: Scene, name: string, consumer: string) {
    this.#scene = scene;
    this.name = name;
    this.consumer = consumer;
    this.metrics = createMetrics(new Registry());
  }

  get ending(): Ending {
    return this.#ending;
  }

  get failure(): unknown {
    return this.#failure;
  }

  get heard(): ReadonlyMap<string, StateTransition> {
    return this.#heard;
  }

  /** It waits for new entries. */
  get isBlocked(): boolean {
    return this.#gate?.isBlocked === true;
  }

  get isStalled(): boolean {
    return this.#stalledAtMs !== undefined;
  }

  async begin(config: ProcessorConfig): Promise<void> {
    const scene = this.#scene;
    const log = createLog({
      service: 'processor',
      instanceId: this.name,
      level: 'info',
      destination: { write: (line) => scene.note(this.name, line.trimEnd()) },
    });
    const gate = await RedisGate.open({
      redisUrl: scene.redisUrl,
      judge: (command) => this.#judgeCommand(command),
      sent: (command) => this.#noteSent(command),
      carriedOut: (command, reply) => this.#noteCarriedOut(command, reply),
      dealtWith: (command, reply) => this.#noteDealtWith(command, reply),
      passage: () => this.#passage().catch(() => undefined),
      die: () => this.die(false),
    });
    this.#gate = gate;
    const redis = connectRedis(gate.url, { name: this.name, log });
    this.#redis = redis;
    this.#waitForCommands(commandTimeoutMs);
    const postgres = new PostgresClient(
      () =>
        gatePostgres({
          sql: scene.sql,
          judge: (call, values) => this.#judgeStatement(call, values),
          passage: () => this.#passage(),
          die: () => this.die(false),
          afterwards: (work) => scene.afterwards(work),
        }),
      statementDeadlineMs,
    );
    const loop = new StreamLoop({
      stream: scene.stream,
      config: { ...config, REDIS_URL: gate.url, REDIS_CONSUMER_NAME: this.consumer },
      redis,
      postgres,
      afterWrite: (heard) => this.#hear(heard),
      onProgress: () => undefined,
      metrics: this.metrics,
      log,
    });
    scene.note(this.name, 'begins');
    this.#ended = loop
      .run(this.#stop.signal, this.#abandon.signal)
      .then(
        () => this.#end('stopped'),
        (error: unknown) => {
          this.#failure ??= error;
          this.#end(this.#abandon.signal.aborted ? 'abandoned' : 'failed');
        },
      )
      .then(() => closeRedis(redis))
      .then(() => gate[Symbol.asyncDispose]());
  }

  /** Nothing is silent on purpose any more: what takes long only takes long. */
  calm(): void {
    this.#waitForCommands(calmCommandTimeoutMs);
  }

  #waitForCommands(timeoutMs: number): void {
    if (this.#redis === undefined) return;
    this.#redis.options.commandTimeout = timeoutMs;
    this.#redis.options.socketTimeout = 2 * timeoutMs;
  }

  /** Asks for a clean stop and waits until it is over. */
  async stop(): Promise<void> {
    this.#scene.note(this.name, 'is asked to stop');
    this.#stop.abort(new Error('stop'));
    const timer = setTimeout(() => this.#abandon.abort(new Error('the drain took too long')), drainLimitMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Power cut. `isHalfOpen`: its connections stay open at Redis. */
  die(isHalfOpen: boolean): void {
    if (this.#ending !== 'running') return;
    this.#end('dead');
    this.#gate?.setDown(true);
    this.#gate?.breakAll(isHalfOpen);
    this.#abandon.abort(new Error('dead'));
    this.#stop.abort(new Error('dead'));
    this.wake();
  }

  /** SIGSTOP: from now on nothing goes out of it and nothing comes in. */
  stall(): void {
    if (this.isStalled || this.#ending !== 'running') return;
    this.#scene.note(this.name, 'stalls');
    this.#stalledAtMs = performance.now();
    ({ promise: this.#awake, resolve: this.#wake } = Promise.withResolvers<void>());
  }

  wake(): void {
    if (this.#stalledAtMs !== undefined) this.#scene.note(this.name, 'wakes');
    this.#stalledAtMs = undefined;
    this.#wake();
  }

  /** All its connections to Redis break, and for a while there is none to be had. */
  async loseRedis(downMs: number): Promise<void> {
    if (this.#ending !== 'running') return;
    this.#gate?.setDown(true);
    this.#gate?.breakAll(false);
    await wait(downMs);
    if (this.#ending === 'running') this.#gate?.setDown(false);
  }

  async ended(): Promise<void> {
    await this.#ended;
  }

  /** Ids that were read once, as new, and heard; in the order in which they were read. */
  get readOrder(): readonly string[] {
    return [...this.#givenNew.keys()].filter((id) => this.#heard.has(id) && this.#wasReadOnce(id));
  }

  /** The same ids in the order in which the domain heard them. */
  get heardOrder(): readonly string[] {
    return [...this.#heard.keys()].filter((id) => this.#wasReadOnce(id));
  }

  #wasReadOnce(id: string): boolean {
    return this.#givenNew.get(id) === 1 && !this.#givenAgain.has(id);
  }

  /** Checks that ids that are about to be acknowledged may be: stored or parked, and heard. */
  async #checkAck(ids: readonly string[]): Promise<void> {
    const evidence = await this.#scene.gatherEvidence();
    for (const id of ids) {
      const entry = this.#scene.ledger.sent.get(id);
      if (entry === undefined) {
        this.#scene.accuse(`${this.name} acknowledges ${id}, which was never sent`);
        continue;
      }
      if (this.#vanished.has(id) && this.#scene.ledger.removed.has(id)) continue;
      const wasStored = isStored(entry, evidence);
      const wasParked = isParked(entry, evidence);
      if (!wasStored && !wasParked) {
        this.#scene.accuse(`${this.name} acknowledges ${id} (${entry.content}), neither stored nor parked`);
      }
      if (wasStored && !wasParked && !this.#heard.has(id)) {
        this.#scene.accuse(`${this.name} acknowledges ${id} (${entry.content}) before the domain heard it`);
      }
    }
  }

  async #hear(heard: readonly StateTransition[]): Promise<void> {
    const scene = this.#scene;
    const trouble = await this.#judge('hear');
    if (trouble === 'death before') this.die(false);
    await this.#passage();
    const evidence = await scene.gatherEvidence();
    const chain = new Map(this.#chain);
    const size = (await this.metrics.deviceStateSize.get()).values[0]?.value ?? 0;
    if (size !== chain.size) {
      scene.accuse(`${this.name} keeps ${size} states where the domain has heard ${chain.size}`);
    }
    for (const { fix, before, after } of heard) {
      const { id } = fix.entry;
      const { deviceId } = fix.position;
      const entry = scene.ledger.sent.get(id);
      if (entry === undefined || !evidence.rows.has(`${deviceId}@${fix.position.fixAtMs}`)) {
        scene.accuse(`${this.name}: the domain hears ${id}, which is not stored`);
      }
      const known = chain.get(deviceId);
      if (known !== undefined && !follows(known, before)) {
        scene.accuse(`${this.name}: the state before ${id} is not the one after what was heard before it`);
      }
      if ((after.lastFix?.fixAtMs ?? 0) < (before.lastFix?.fixAtMs ?? 0)) {
        scene.accuse(`${this.name}: ${id} moves the state of its device backwards`);
      }
      chain.set(deviceId, after);
    }
    if (trouble === 'slow') await wait(20);
    if (trouble === 'fails' || trouble === 'ours') throw new Error('planted: the domain fails');
    await this.#passage();
    for (const one of heard) {
      const first = this.#heard.get(one.fix.entry.id);
      if (first === undefined) this.#heard.set(one.fix.entry.id, one);
      scene.noteHeard(one);
    }
    for (const [deviceId, state] of chain) this.#chain.set(deviceId, state);
    if (trouble === 'death after') {
      this.die(false);
      await this.#passage();
    }
  }

  async #judgeCommand(command: GatedCommand): Promise<Trouble | undefined> {
    try {
      await this.#passage();
      if (command.call === 'look' || command.call === 'check')
        this.#lossesBefore = this.#scene.ledger.losses.length;
      if (command.call === 'ack') await this.#checkAck(command.words.slice(3));
      return command.call === undefined ? undefined : await this.#judge(command.call);
    } catch (error) {
      if (this.#ending === 'dead') return 'cut';
      throw error;
    }
  }

  async #judgeStatement(call: PortCall, values: readonly unknown[]): Promise<Trouble | undefined> {
    const trouble = await this.#judge(call);
    const kills = call === 'insert' && values.some((value) => String(value).includes(':killer'));
    return kills ? 'death before' : trouble;
  }

  async #judge(call: PortCall): Promise<Trouble | undefined> {
    await this.#passage();
    const trouble = this.#scene.faults.take(call);
    const what = trouble === undefined ? call : `${call}: ${trouble}`;
    this.#scene.noteCall(this.name, what);
    return trouble;
  }

  /** Resolves when the process runs; rejects when it is dead, for the code of a dead process does nothing. */
  async #passage(): Promise<void> {
    await this.#awake;
    if (this.#ending === 'dead') throw new Error('dead');
  }

  #noteSent({ call, words }: GatedCommand): void {
    const id = words[2];
    if (call === 'mark' && id !== undefined) this.#scene.noteAttempt(id, this.name);
  }

  #noteCarriedOut({ call }: GatedCommand, reply: RespValue): void {
    const { entries, gone } = entriesOf(call, reply);
    for (const id of entries) {
      if (call === 'own pending' || call === 'claim') this.#givenAgain.add(id);
      else this.#givenNew.set(id, (this.#givenNew.get(id) ?? 0) + 1);
    }
    for (const id of gone) this.#vanished.add(id);
    if (entries.length > 0) this.#scene.note(this.name, `  given ${entries.join(' ')}`);
  }

  #noteDealtWith({ call }: GatedCommand, reply: RespValue): void {
    for (const id of entriesOf(call, reply).entries) this.received.add(id);
    if (call !== 'look' && call !== 'check') return;
    // It was shown the losses that lay ahead of the group then, of those from before it asked.
    const groups = listAt(reply, 1)[0];
    const lastDeliveredId = Array.isArray(groups)
      ? String(groups[groups.findIndex(isLastDeliveredId) + 1])
      : '';
    this.#scene.ledger.noteShown(this.#lossesBefore, lastDeliveredId);
  }

  #end(ending: Ending): void {
    if (this.#ending !== 'running') return;
    this.#ending = ending;
    this.#scene.count(ending);
    this.#scene.note(
      this.name,
      `is ${ending} ${this.#failure instanceof Error ? this.#failure.message : ''}`,
    );
  }
}

/** A state without a good fix is looked up again; any other is kept as it was heard. */
function follows(heard: DeviceState, before: DeviceState): boolean {
  if (heard.lastSeenAtMs !== before.lastSeenAtMs) return false;
  return heard.lastFix === undefined || heard.lastFix.fixAtMs === before.lastFix?.fixAtMs;
}

/** The ids that a reply gives, with and without a body. */
function entriesOf(
  call: PortCall | undefined,
  reply: RespValue,
): { readonly entries: readonly string[]; readonly gone: readonly string[] } {
  if (!Array.isArray(reply)) return { entries: [], gone: [] };
  switch (call) {
    case 'read':
    case 'rest':
    case 'own pending':
      return split(listAt(listAt(reply, 0), 1));
    case 'check':
      return split(listAt(listAt(listAt(reply, 2), 0), 1));
    case 'claim': {
      const { entries, gone } = split(listAt(reply, 1));
      return { entries, gone: [...gone, ...listAt(reply, 2).map(String)] };
    }
    default:
      return { entries: [], gone: [] };
  }
}

function split(rows: readonly RespValue[]) {
  const entries: string[] = [];
  const gone: string[] = [];
  for (const row of rows) {
    if (!Array.isArray(row)) continue;
    (row[1] === null ? gone : entries).push(String(row[0]));
  }
  return { entries, gone };
}

function listAt(list: RespValue, index: number): readonly RespValue[] {
  const item: unknown = Array.isArray(list) ? list[index] : undefined;
  return Array.isArray(item) ? item : [];
}

function isLastDeliveredId(name: RespValue): boolean {
  return Buffer.isBuffer(name) && name.toString() === 'last-delivered-id';
}
