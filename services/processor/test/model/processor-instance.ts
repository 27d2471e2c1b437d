import { setTimeout as wait } from 'node:timers/promises';
import { readConfig } from '@app/runtime/config';
import { createLog } from '@app/runtime/log';
import { sqlState } from '@app/runtime/postgres';
import { PostgresClient } from '@app/runtime/postgres-client';
import { closeRedis, connectRedis } from '@app/runtime/redis';
import { compareEntryIds } from '@app/shared/entry';
import { Registry } from 'prom-client';
import { processorSettings } from '../../src/config.ts';
import { createMetrics } from '../../src/metrics.ts';
import type { AfterWrite } from '../../src/pipeline/after-write.ts';
import { StreamLoop } from '../../src/pipeline/stream-loop.ts';
import { DeviceStateCap } from '../../src/state/device-state-cap.ts';
import { delayMs, type GatedProcess, openRedisGate, type RedisGate } from '../support/redis-gate.ts';
import { readRows } from './check-outcome.ts';
import type { Connection, Fault } from './plan.ts';
import { gatePostgres } from './postgres-gate.ts';
import type { RunContext } from './run-context.ts';
import { keyOf } from './sent-log.ts';

// Short, since a silence lasts as long; below `lateMs`.
const deadlineMs = 1000;
const drainTimeoutMs = 60_000;

/**
 * A process of the processor: the real loop of a stream, with a gate in each connection. After a crash its code runs on
 * for a moment, but reaches no server.
 */
export class ProcessorInstance implements AsyncDisposable {
  readonly name: string;
  readonly #run: RunContext;
  readonly #metrics = createMetrics(new Registry());
  readonly #stop = new AbortController();
  readonly #abandon = new AbortController();
  #gates: readonly RedisGate[] = [];
  #failure: unknown;
  #ended: Promise<unknown> = Promise.resolve();
  /** Ids of the fixes that the domain step got, in that order; without redelivered ones. */
  readonly #newIds = new Set<string>();
  /** Devices of the fixes that the domain step got. */
  readonly #devices = new Set<string>();
  status: 'running' | 'stopped' | 'failed' | 'crashed' = 'running';
  paused: PromiseWithResolvers<void> | undefined;

  constructor(run: RunContext, name: string) {
    this.#run = run;
    this.name = name;
  }

  async start(env: Readonly<Record<string, string>>): Promise<void> {
    const { stream, servers, background } = this.#run;
    const destination = { write: (line: string) => this.#run.note(this.name, line.trimEnd()) };
    const log = createLog({ service: 'processor', instanceId: this.name, level: 'info', destination });
    const commands = await openRedisGate(servers.redisUrl, this.#gated('commands'));
    const reader = await openRedisGate(servers.redisUrl, this.#gated('reader'));
    this.#gates = [commands, reader];
    const connectPostgres = () => gatePostgres(servers.sql, this.#gated('postgres'), background);
    const redis = connectRedis(commands.url, { name: this.name, log });
    Object.assign(redis.options, { commandTimeout: deadlineMs, socketTimeout: 2 * deadlineMs });
    const config = readConfig(processorSettings, {
      REDIS_URL: reader.url,
      POSTGRES_URL: 'postgres://127.0.0.1/unused',
      REDIS_TELEMETRY_STREAM: stream,
      ...env,
    });
    const loop = new StreamLoop({
      stream,
      config,
      redis,
      postgres: new PostgresClient(connectPostgres, deadlineMs),
      afterWrite: (transitions) => this.#domainStep(transitions),
      deviceStateCap: new DeviceStateCap(config.DEVICE_STATE_CAP, this.#metrics),
      onProgress: () => undefined,
      metrics: this.#metrics,
      log,
    });
    this.#ended = loop
      .run(this.#stop.signal, this.#abandon.signal)
      .then(() => this.#end('stopped'))
      .catch((error: unknown) => this.#end('failed', error))
      .then(() => closeRedis(redis));
  }

  /** Shuts it down, as SIGTERM does, and returns how it ended. */
  async stop(): Promise<ProcessorInstance['status']> {
    this.#stop.abort(new Error('stop'));
    const timer = setTimeout(() => this.#abandon.abort(new Error('drain timed out')), drainTimeoutMs);
    await this.#ended;
    clearTimeout(timer);
    return this.status;
  }

  /** Ends it, as SIGKILL does. */
  crash(): void {
    if (this.status !== 'running') return;
    this.#end('crashed');
    for (const gate of this.#gates) gate.close();
    this.#abandon.abort(new Error('crashed'));
    this.resume();
  }

  /** As SIGSTOP and SIGCONT do for what it sends and receives. */
  pause(): void {
    this.paused ??= Promise.withResolvers();
  }

  resume(): void {
    this.paused?.resolve();
    this.paused = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.crash();
    await this.#ended;
    for (const gate of this.#gates) await gate[Symbol.asyncDispose]();
  }

  /** An instance ends by itself only after a fatal error; `inOrder`: its domain step gets new fixes in stream order. */
  check(inOrder: boolean): void {
    const violate = (what: string): void => this.#run.violate(`${this.name}: ${what}`);
    const isFatal = sqlState(this.#failure) === '42P01';
    if (this.status === 'failed' && !isFatal) violate(String(this.#failure));
    const ids = [...this.#newIds];
    const index = ids.findIndex((id, n) => compareEntryIds(id, ids[n + 1] ?? id) > 0);
    if (inOrder && index >= 0) violate(`${ids[index]} passed to the domain step before ${ids[index + 1]}`);
  }

  #gated(connection: Connection): GatedProcess<Fault['outcome']> {
    return {
      takeFault: async (request) => {
        await this.#whenRunning();
        return this.#run.takeFault(this.name, connection, request)?.outcome;
      },
      whenRunning: () => this.#whenRunning(),
      crash: () => this.crash(),
    };
  }

  async #whenRunning(): Promise<void> {
    await this.paused?.promise;
    if (this.status === 'crashed') throw new Error('crashed');
  }

  async #domainStep(transitions: Parameters<AfterWrite>[0]): Promise<void> {
    const fixes = transitions.map(({ fix }) => fix);
    const violate = (what: string): void => this.#run.violate(`${this.name}: ${what}`);
    const ids = fixes.map(({ entry }) => entry.id).join(' ');
    const { effect, execution } = (await this.#gated('domain step').takeFault(ids)) ?? {};
    if (effect === 'crash' && execution === 'never') this.crash();
    await this.#whenRunning();
    const rows = await readRows(this.#run);
    const early = fixes.find(({ position }) => !rows.has(keyOf(position.deviceId, position.fixAtMs)));
    if (early !== undefined) violate(`${early.entry.id} passed to the domain step before it is stored`);
    const committed = (await this.#metrics.deviceStateSize.get()).values[0]?.value ?? 0;
    if (committed !== this.#devices.size) violate(`${committed} states committed of ${this.#devices.size}`);
    if (effect === 'delay') await wait(delayMs);
    if (effect === 'error') throw new Error('injected: the domain step fails');
    await this.#whenRunning();
    for (const { entry, position } of fixes) {
      this.#devices.add(position.deviceId);
      if (entry.deliveries === 1) this.#newIds.add(entry.id);
      this.#run.domainIds.add(entry.id);
    }
    if (effect === 'crash') this.crash();
    await this.#whenRunning();
  }

  #end(status: ProcessorInstance['status'], failure?: unknown): void {
    if (this.status !== 'running') return;
    this.status = status;
    this.#failure = failure;
    this.#run.count(status);
    this.#run.note(this.name, `${status} ${failure instanceof Error ? failure.message : ''}`);
  }
}
