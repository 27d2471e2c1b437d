import { DeadlineError } from '@app/runtime/deadline';
import type { Logger } from '@app/runtime/log';
import type { Metrics } from '../metrics.ts';
import { isGroupMissing } from './consumer-group.ts';
import { PermanentErrorLimit } from './redis-error.ts';

/** `read`: own pending and new entries; `claim`: entries that other consumers left pending. */
export type ReadStep = 'read' | 'claim';

interface Outage {
  readonly startedAtMs: number;
  /** Causes that were logged. */
  readonly causes: Set<string>;
  failures: number;
  reason: string;
}

const stepNames: Readonly<Record<ReadStep, string>> = { read: 'stream read', claim: 'claim of idle entries' };
/** Redis' message on a failed snapshot has four lines. */
const maxReasonLength = 120;

/**
 * What fails in reading one stream. Each cause is logged once an outage. Only a success of the same step ends it: own
 * pending entries may be readable while new ones are not, and a connection says nothing about either.
 */
export class ReadFailures {
  readonly #stream: string;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #limits: Readonly<Record<ReadStep, PermanentErrorLimit>>;
  readonly #outages = new Map<ReadStep, Outage>();
  readonly #warned = new Set<string>();

  constructor(stream: string, metrics: Metrics, log: Logger, permanentErrorLimitMs?: number) {
    this.#stream = stream;
    this.#metrics = metrics;
    this.#log = log;
    this.#limits = {
      read: new PermanentErrorLimit(`the commands that read ${stream}`, permanentErrorLimitMs),
      claim: new PermanentErrorLimit(`the commands that claim entries of ${stream}`, permanentErrorLimitMs),
    };
  }

  /** What fails now, for /readyz; undefined if nothing does. */
  get reason(): string | undefined {
    return (this.#outages.get('read') ?? this.#outages.get('claim'))?.reason;
  }

  /** Consecutive failures of a step. */
  count(step: ReadStep): number {
    return this.#outages.get(step)?.failures ?? 0;
  }

  /** Throws, with what to grant or change, once Redis has refused the step for too long. */
  failed(step: ReadStep, error: unknown): void {
    const isMissing = isGroupMissing(error);
    const result = isMissing ? 'group_missing' : error instanceof DeadlineError ? 'deadline' : 'error';
    this.#metrics.reads.inc({ result });
    this.#limits[step].check(error);
    const outage = this.#outages.get(step) ?? newOutage();
    this.#outages.set(step, outage);
    outage.failures += 1;
    outage.reason = `${this.#stream}: ${stepNames[step]} fails: ${messageOf(error).slice(0, maxReasonLength)}`;
    const cause = causeOf(error);
    if (outage.causes.has(cause)) return;
    outage.causes.add(cause);
    const stream = this.#stream;
    if (isMissing) {
      this.#log.error({ stream, error }, 'stream or consumer group missing; recreating the group at 0');
    } else {
      this.#log.warn({ stream, error }, `${stepNames[step]} failed; retrying`);
    }
  }

  succeeded(step: ReadStep): void {
    this.#limits[step].reset();
    const outage = this.#outages.get(step);
    if (outage === undefined) return;
    this.#outages.delete(step);
    const outageMs = Math.round(performance.now() - outage.startedAtMs);
    const { failures } = outage;
    this.#log.info({ stream: this.#stream, failures, outageMs }, `${stepNames[step]} recovered`);
  }

  /** Warns once per message and cause of what does not stop reading. */
  warnOnce(message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const cause = `${message}: ${causeOf(fields['error'])}`;
    if (this.#warned.has(cause)) return;
    this.#warned.add(cause);
    this.#log.warn({ stream: this.#stream, ...fields }, message);
  }
}

function newOutage(): Outage {
  return { startedAtMs: performance.now(), causes: new Set(), failures: 0, reason: '' };
}

/** Equal for errors with the same cause: a message may contain a port or a name. */
function causeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  const message = messageOf(error);
  return /^(?!ERR\b)[A-Z]+(?= )/u.exec(message)?.[0] ?? message;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
