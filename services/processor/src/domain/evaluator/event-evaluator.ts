import { classify } from '@app/race/classify';
import type { Logger } from '@app/runtime/log';
import type { PostgresClient } from '@app/runtime/postgres-client';
import type { Redis } from 'ioredis';
import type { Metrics } from '../../metrics.ts';
import { listDirty, unmarkDirty } from '../dirty-devices.ts';
import { loadRace } from '../load-race.ts';
import { announceResults } from './announce-results.ts';
import { createBreathing } from './breathe.ts';
import { DeviceTracks, type Reason } from './device-tracks.ts';
import { type EventLease, renewIfDue } from './event-lease.ts';
import { readFaultyChanges } from './faulty-changes.ts';
import { EntryJudge, failureProblems } from './judge-event.ts';
import { readPositions } from './observe-positions.ts';
import { readAhead } from './read-ahead.ts';
import { prepareInputs, type RaceInputs } from './race-inputs.ts';
import { noteEnd, readStored, readStoredBefore, type StoredCursor } from './read-stored.ts';
import { RecordArrivals } from './record-arrivals.ts';
import { tableRows } from './result-tables.ts';
import type { Revision } from './revision.ts';
import { vehicleStateRows } from './vehicle-states.ts';
import { writeProblems } from './write-problems.ts';
import {
  applyChanges,
  findChanges,
  findTableChanges,
  type KnownRows,
  readResults,
  type ResultChanges,
  writeResults,
} from './write-results.ts';

const reloadIntervalMs = 2000;
/**
 * How long another processor may store fixes of a newly assigned device without announcing them: twice the interval at which
 * it reads assignments. It marks the device then, unless it was killed before.
 */
const unannouncedMs = 5000;
const entriesPerRead = 100;
/** Of one evaluation, for what may wait for the next one. */
const followBudgetMs = 1000;
const observeBudgetMs = 500;
/** Postgres reads for one device while another is folded. */
const observedAtOnce = 2;
/** What of an event's stream is read at the start, for when records arrived whose fix time is outside of the event. */
const arrivalsReadMs = 600_000;

export interface EvaluatorResources {
  readonly redis: Redis;
  readonly postgres: PostgresClient;
  /** Server time until which records that arrived are stored; undefined if that is not known. */
  readonly storedUntilMs: () => Promise<number | undefined>;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** A row of `dirty_entries`. It is deleted once the device has been observed after the row was read. */
interface Mark {
  readonly changes: number;
  isObserved: boolean;
}

/**
 * Computes the results of one event while it holds the lease: reads `stored:<event>`, `positions` and Directus' tables, and
 * writes the result tables. It knows nothing that is not in these, and starts with every device dirty.
 */
export class EventEvaluator {
  readonly #lease: EventLease;
  readonly #resources: EvaluatorResources;
  readonly #judge = new EntryJudge();
  readonly #arrivals = new RecordArrivals();
  readonly #marks = new Map<string, Mark>();
  /** When newly assigned devices have to be observed again. */
  readonly #observeAgainAtMs = new Map<string, number>();
  /** Why entries were judged since results were last written, by entry id. */
  readonly #unwritten = new Map<string, Set<Reason>>();
  #reloadedAtMs = -Infinity;
  #inputs: RaceInputs | undefined;
  #inputsText = '';
  #tracks: DeviceTracks | undefined;
  #cursor: StoredCursor | undefined;
  #faulty: ReadonlyMap<string, string> = new Map();
  /** What the tables hold; undefined if that is not known. */
  #known: KnownRows | undefined;
  #isWritten = false;
  #problems = '';
  /** Not yet announced. At the start the one of before: its announcement may have been lost. */
  #unannounced: { readonly revision: Revision; readonly changes: ResultChanges | undefined } | undefined;
  #isRefused = false;
  problemCount = 0;
  openSos = 0;

  constructor(lease: EventLease, resources: EvaluatorResources) {
    this.#lease = lease;
    this.#resources = resources;
    this.#unannounced = { revision: lease.revision, changes: undefined };
  }

  get dirtyCount(): number {
    return this.#tracks?.dirtyCount ?? 0;
  }

  get dirtySinceMs(): number | undefined {
    return this.#tracks?.dirtySinceMs;
  }

  /**
   * Evaluates what has changed since the last call. After an error it may be called again, except for a LeaseLostError.
   *
   * @param isLast evaluates everything that is known by now, at once: for an event that is over
   */
  async evaluate(signal: AbortSignal, isLast = false): Promise<void> {
    const { postgres } = this.#resources;
    await renewIfDue(postgres, this.#lease);
    // First: what was stored until then is met in what is read later.
    const storedUntilMs = await this.#resources.storedUntilMs();
    if (isLast || performance.now() - this.#reloadedAtMs >= reloadIntervalMs) await this.#reload();
    if (!this.#inputs || !this.#tracks) return;
    const isBehind = await this.#follow(this.#tracks, isLast, signal);
    await this.#observe(this.#inputs, this.#tracks, isLast, signal);
    // Until each device is observed on this course, the tables keep what they hold.
    if (this.#tracks.isComplete) {
      const statesAtMs = isBehind ? undefined : storedUntilMs;
      await this.#judgeAndWrite(this.#inputs, this.#tracks, isLast, statesAtMs);
    }
    await this.#reportProblems(this.#inputs);
    await this.#announce();
  }

  /** In this order: what is stored, marked or appended later is met in what is read later. */
  async #reload(): Promise<void> {
    const { redis, postgres } = this.#resources;
    const { eventId } = this.#lease;
    if (!this.#cursor) {
      const cursor = await noteEnd(redis, eventId);
      for await (const { id, fixes } of readStoredBefore(redis, eventId, cursor, arrivalsReadMs)) {
        for (const fix of fixes) this.#arrivals.noteStored(id, fix);
      }
      this.#cursor = cursor;
    }
    const loaded = await postgres.run((sql) => loadRace(sql, eventId), 'reading a race');
    if (!loaded) return;
    const text = JSON.stringify(loaded);
    if (text !== this.#inputsText) this.#apply(prepareInputs(loaded));
    this.#inputsText = text;
    const [inputs, tracks] = [this.#inputs, this.#tracks];
    if (!inputs || !tracks) return;

    const nowMs = performance.now();
    const faulty = await readFaultyChanges(postgres, inputs.deviceIds);
    for (const [deviceId, seen] of faulty) {
      if (this.#faulty.get(deviceId) === seen) continue;
      tracks.markDirty(deviceId, 'a fix was marked or unmarked as faulty', nowMs);
    }
    this.#faulty = faulty;
    for (const [deviceId, atMs] of this.#observeAgainAtMs) {
      if (nowMs < atMs) continue;
      tracks.markDirty(deviceId, 'assignments changed', nowMs);
      this.#observeAgainAtMs.delete(deviceId);
    }

    const marks = await postgres.run((sql) => listDirty(sql, eventId), 'reading dirty devices');
    for (const { deviceId, changes } of marks) {
      if (this.#marks.get(deviceId)?.changes === changes) continue;
      this.#marks.set(deviceId, { changes, isObserved: false });
      tracks.markDirty(deviceId, 'fixes that Redis refused, or a new assignment', nowMs);
    }
    const observed = [...this.#marks].filter(
      ([deviceId, { isObserved }]) => isObserved || !inputs.deviceIds.has(deviceId),
    );
    if (observed.length > 0) {
      const known = observed.map(([deviceId, { changes }]) => ({ deviceId, changes }));
      await postgres.run((sql) => unmarkDirty(sql, eventId, known), 'deleting marks of dirty devices');
      for (const [deviceId] of observed) this.#marks.delete(deviceId);
    }
    this.#reloadedAtMs = nowMs;
  }

  #apply(inputs: RaceInputs): void {
    const before = this.#inputs;
    const nowMs = performance.now();
    if (!this.#tracks || before?.courseText !== inputs.courseText) {
      const reason = before ? 'the course changed' : 'the evaluation started';
      this.#tracks = new DeviceTracks(inputs.checked.prepared, inputs.checked.window, this.#arrivals);
      this.#tracks.setDevices(inputs.deviceIds, reason, nowMs);
      for (const entryId of inputs.entryTexts.keys()) this.#judge.markDue(entryId, [reason]);
    } else {
      this.#tracks.setDevices(inputs.deviceIds, 'assignments changed', nowMs);
    }
    for (const deviceId of before ? inputs.deviceIds.difference(before.deviceIds) : []) {
      this.#observeAgainAtMs.set(deviceId, nowMs + unannouncedMs);
    }
    for (const [entryId, text] of inputs.entryTexts) {
      const known = before?.entryTexts.get(entryId);
      if (known?.own !== text.own && before) this.#judge.markDue(entryId, ['entry or decisions changed']);
      if (known?.assignments !== text.assignments && before) {
        this.#judge.markDue(entryId, ['assignments changed']);
      }
    }
    this.#inputs = inputs;
    this.#isWritten = false;
  }

  /** Adds what was appended since. Returns whether there is more than could be added. */
  async #follow(tracks: DeviceTracks, isLast: boolean, signal: AbortSignal): Promise<boolean> {
    const { redis, log } = this.#resources;
    const { eventId } = this.#lease;
    const breathe = createBreathing();
    const untilMs = isLast ? Infinity : performance.now() + followBudgetMs;
    while (this.#cursor && performance.now() < untilMs) {
      signal.throwIfAborted();
      const read = await readStored(redis, eventId, this.#cursor, entriesPerRead);
      if (read === 'gap') {
        log.warn({ eventId }, 'stored fixes of the event were missed; all its devices are observed again');
        this.#cursor = await noteEnd(redis, eventId);
        tracks.markAllDirty('stored fixes were missed', performance.now());
        return false;
      }
      for (const { id, fixes } of read.entries) {
        const nowMs = performance.now();
        for (const fix of fixes) tracks.add(id, fix, nowMs);
        await breathe();
      }
      this.#cursor = read.cursor;
      if (read.entries.length < entriesPerRead) return false;
    }
    return true;
  }

  /** Observes dirty devices again: all of them while one has no track, else as many as the budget allows. */
  async #observe(
    inputs: RaceInputs,
    tracks: DeviceTracks,
    isLast: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { redis, postgres, metrics } = this.#resources;
    const breathe = createBreathing();
    const startedAtMs = performance.now();
    const taken = new Set<string>();
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    const observeDirty = async (): Promise<void> => {
      for (;;) {
        const nowMs = performance.now();
        if (tracks.isComplete && !isLast && nowMs - startedAtMs > observeBudgetMs) return;
        const next = tracks.nextDirty(isLast ? Infinity : nowMs, taken);
        if (!next) return;
        taken.add(next.deviceId);
        stop.throwIfAborted();
        await renewIfDue(postgres, this.#lease);
        const { id: coveredId } = await noteEnd(redis, this.#lease.eventId);
        const pages = readAhead(readPositions(postgres, next.deviceId, inputs.checked.window));
        await tracks.observe(next.deviceId, pages, coveredId, breathe);
        metrics.devicesObserved.inc({ reason: next.reason });
        const mark = this.#marks.get(next.deviceId);
        if (mark) mark.isObserved = true;
      }
    };
    const observers = Array.from({ length: observedAtOnce }, observeDirty);
    try {
      await Promise.all(observers);
    } finally {
      failed.abort();
      await Promise.allSettled(observers);
    }
  }

  async #judgeAndWrite(
    inputs: RaceInputs,
    tracks: DeviceTracks,
    isLast: boolean,
    statesAtMs: number | undefined,
  ): Promise<void> {
    const { postgres, metrics } = this.#resources;
    const { event, checked } = inputs;
    const changed = tracks.takeChanged();
    for (const { deviceId, entryId } of checked.assignments) {
      const reasons = changed.get(deviceId);
      if (reasons) this.#judge.markDue(entryId, reasons);
    }
    const asOfMs = resultsAsOfMs(event.endAtMs, tracks.newestGoodAtMs, Date.now());
    const breathe = createBreathing();
    const judged = await this.#judge.judge(event, checked, tracks, asOfMs, isLast, breathe);
    for (const [entryId, reasons] of judged) {
      this.#unwritten.set(entryId, new Set([...(this.#unwritten.get(entryId) ?? []), ...reasons]));
    }
    const { results } = this.#judge;
    const isFresh = this.#known === undefined;
    this.#known ??= await readResults(postgres, this.#lease.eventId);
    // Of an event that is over nobody knows what its vehicles do.
    const states = isLast
      ? []
      : vehicleStateRows(inputs, tracks, this.#arrivals, results, this.#known, statesAtMs);
    const isUnchanged = this.#isWritten && this.#unwritten.size === 0 && !isFresh;
    if (isUnchanged && !findTableChanges('vehicle_states', states, this.#known)) return;

    this.openSos = results
      .flatMap(({ incidents }) => incidents)
      .filter(({ rule, isOpen }) => rule === 'sos' && isOpen).length;
    const classification = classify(event, checked.course, checked.entries, results);
    const isLeftOut = (entryId: string): boolean =>
      !isFresh && inputs.entryTexts.has(entryId) && !this.#unwritten.has(entryId);
    const rows = tableRows(
      results.filter(({ entryId }) => !isLeftOut(entryId)),
      classification,
    );
    const changes = findChanges({ ...rows, vehicle_states: states }, this.#known, isLeftOut);
    if (changes) {
      const known = this.#known;
      // Until it is answered, nobody knows what the tables hold.
      this.#known = undefined;
      const revision = await writeResults(postgres, this.#lease, changes, joinReasons(this.#unwritten));
      applyChanges(changes, known);
      this.#known = known;
      this.#unannounced = { revision, changes: this.#unannounced ? undefined : changes };
      for (const [table, { rows: set, gone }] of Object.entries(changes)) {
        metrics.resultChanges.inc({ table }, set.length + gone.length);
      }
    }
    this.#unwritten.clear();
    this.#isWritten = true;
  }

  async #reportProblems(inputs: RaceInputs): Promise<void> {
    const problems = [...inputs.problems, ...failureProblems(inputs.checked, this.#judge.results)];
    this.problemCount = problems.length;
    const text = JSON.stringify(problems);
    if (text === this.#problems) return;
    await writeProblems(this.#resources.postgres, this.#lease, problems);
    this.#problems = text;
  }

  /** The tables are written whether Redis accepts it or not; it is tried again with the next evaluation. */
  async #announce(): Promise<void> {
    if (!this.#unannounced) return;
    const { redis, log } = this.#resources;
    const { eventId } = this.#lease;
    const { revision, changes } = this.#unannounced;
    try {
      await announceResults(redis, eventId, revision, changes);
      this.#unannounced = undefined;
      this.#isRefused = false;
    } catch (error) {
      // An answer may have been lost: a revision that comes twice has no changes the second time.
      this.#unannounced = { revision, changes: undefined };
      if (!this.#isRefused)
        log.warn({ eventId, ...revision, error }, 'results cannot be announced; retrying');
      this.#isRefused = true;
    }
  }
}

/**
 * Until when the data of an event is known: its newest good fix, and once the event is over, its end, which has passed by
 * the least time that there is.
 */
export function resultsAsOfMs(endAtMs: number | undefined, newestGoodAtMs: number, nowMs: number): number {
  return endAtMs !== undefined && nowMs > endAtMs ? endAtMs + 1 : newestGoodAtMs;
}

function joinReasons(reasons: ReadonlyMap<string, ReadonlySet<Reason>>): Readonly<Record<string, string>> {
  return Object.fromEntries([...reasons].map(([entryId, ofEntry]) => [entryId, [...ofEntry].join('; ')]));
}
