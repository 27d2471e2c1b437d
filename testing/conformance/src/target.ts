import type { Position } from '@app/shared/position';
import type { TestRevision } from '@app/test-kit/result-rows';

/** The credentials of a viewer. */
export interface Session {
  /** `name=value` of the session cookie. */
  readonly cookie: string;
}

export interface Device {
  /** Its name in the batched dialect. */
  readonly id: string;
  /** Its name in the plain dialect. */
  readonly imei: string;
}

/** An event with devices of the suite, and the means to publish and change their positions. */
export interface TestEvent {
  readonly eventId: string;
  readonly topic: string;
  readonly session: Session;
  /** The suite's devices, at least three, without positions at first. */
  readonly devices: readonly Device[];
  /** Adds a fix to the telemetry stream, then stores it as the processor does. */
  publish(device: Device, fix?: Partial<Position>): Promise<Position>;
  /** Marks a stored fix faulty, as an operator does. */
  markFaulty(device: Device, fixAtMs: number): Promise<void>;
  addDevice(): Promise<Device>;
  /** Writes the next revision of the event's results, and announces it, as the processor does; returns its number. */
  writeResults(revision: TestRevision): Promise<number>;
  removeDevice(device: Device): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Controls of a stand-in for Directus. */
export interface DirectusControls {
  /** Adds a user who may see these events; returns a session of theirs. */
  newViewer(...eventIds: readonly string[]): Session & { readonly userId: string };
  shareToken(): Session;
  foreignSession(): Session;
  expire(session: Session): void;
  /** Refreshes a session; the old one ends. */
  refresh(session: Session): Session;
  allow(userId: string, eventId: string): void;
  forbid(userId: string, eventId: string): void;
  /** Whether the user may read the collection `incidents`. */
  setIncidents(userId: string, mayRead: boolean): void;
  /** Runs `act` while Directus is slow or fails. */
  during(mode: 'slow' | '429' | '500' | '503' | 'hang' | 'refuse', act: () => Promise<void>): Promise<void>;
  /** Header and cookie names of each request of the gateway so far. */
  calls(): readonly { readonly headers: readonly string[]; readonly cookies: readonly string[] }[];
}

/** Starts further servers on the same streams, with other settings. */
export interface Replicas {
  start(settings?: Readonly<Record<string, string>>): Promise<Replica>;
}

export interface Replica extends AsyncDisposable {
  readonly url: string;
  /** Sends SIGTERM; resolves when the process has exited. */
  stop(): Promise<void>;
}

/** A separate telemetry stream with some entries. */
export interface OwnStream extends AsyncDisposable {
  readonly key: string;
  /** Empties the stream and restarts it with lower ids, as after a failover to a replica that was behind. */
  rewind(): Promise<void>;
}

/** Optional capabilities of a target. A case is not tested without those that it needs. */
export interface Capabilities {
  /** Of a user who may connect. */
  readonly session: Session;
  /** An event that `session` may see. */
  readonly eventId: string;
  /** Needs the telemetry stream and the database. Default `deviceCount`: 3. */
  readonly openTestEvent: (options?: { readonly deviceCount?: number }) => Promise<TestEvent>;
  readonly directus: DirectusControls;
  readonly replicas: Replicas;
  /** For a replica that reads no other stream. */
  readonly ownStream: () => Promise<OwnStream>;
}

export interface Target extends Partial<Capabilities> {
  /** `ws://host:port/path` */
  readonly url: string;
  /** An allowed origin. */
  readonly origin: string;
  /** Whether a client without an Origin header is accepted. */
  readonly letsInWithoutOrigin: boolean;
  /** Per connection, from `hello`. */
  readonly limits: { readonly messagesPerS: number; readonly subscriptions: number };
  /** Maximum time of any answer. */
  readonly answerMs: number;
  /** Maximum time until a change in the database is visible. */
  readonly refreshMs: number;
}
