import { setTimeout as wait } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type postgres from 'postgres';
import type { Connection, Fault } from './plan.ts';
import { SentLog } from './sent-log.ts';

export interface RunServers {
  readonly redisUrl: string;
  /** Connections of the model's own, without faults. */
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  /** Kills Redis and starts it again; only where the run has one to itself. */
  readonly restartRedis?: () => Promise<void>;
}

/** How long no request may be sent before the next step begins. */
const quietMs = 20;

/** What the processor instances of one run share: servers, stream, entries, faults, and a log of what happened. */
export class RunContext {
  readonly servers: RunServers;
  readonly stream: string;
  readonly sent: SentLog;
  /** Stops, and statements that run on after they were given up. */
  readonly background: Promise<unknown>[] = [];
  /** Ids of the entries that the domain step of any instance got. */
  readonly domainIds = new Set<string>();
  readonly notes: string[] = [];
  readonly violations: string[] = [];
  /** How often each kind of step, fault and ending occurred. */
  readonly counts = new Map<string, number>();
  /** Faults that have not happened yet. */
  faults: { readonly fault: Fault; left: number }[] = [];
  readonly #startedAtMs = performance.now();
  #request = Promise.withResolvers<boolean>();

  constructor(servers: RunServers, id: string, keyPrefix: string) {
    this.servers = servers;
    this.stream = `${keyPrefix}${id}`;
    this.sent = new SentLog(id);
  }

  note(who: string, what: string): void {
    const atMs = (performance.now() - this.#startedAtMs).toFixed(1).padStart(7);
    this.notes.push(`${atMs} ${who.padEnd(4)} ${what}`);
  }

  count(what: string): void {
    this.counts.set(what, 1 + (this.counts.get(what) ?? 0));
  }

  /** Records that the promise is broken; the run goes on. */
  violate(what: string): void {
    this.note('!', what);
    this.violations.push(what);
  }

  /** Counts a request of any instance on the connection; returns the fault that is due at it. */
  takeFault(who: string, connection: Connection, request: string): Fault | undefined {
    this.note(who, `${connection}: ${request.replaceAll(/\s+/gu, ' ').slice(0, 160)}`);
    this.#request.resolve(true);
    this.#request = Promise.withResolvers();
    const armed = this.faults.filter(({ fault }) => fault.connection === connection);
    const due = armed.find(({ left }) => left <= 0);
    for (const each of armed) each.left -= 1;
    this.faults = this.faults.filter((each) => each !== due);
    if (due === undefined) return undefined;
    const { effect, execution } = due.fault.outcome;
    this.count(`${connection}: ${effect}, executed ${execution}`);
    this.note(who, `${effect}, executed ${execution}`);
    return due.fault;
  }

  /** Resolves after that many requests of any instance, or when there was none for a while. */
  async whenRequested(requests: number): Promise<void> {
    for (let left = requests; left > 0; left -= 1) {
      if (!(await Promise.race([this.#request.promise, wait(quietMs, false)]))) return;
    }
  }
}
