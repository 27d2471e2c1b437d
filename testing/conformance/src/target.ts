import type { Position } from '@app/shared/position';

/** A viewer, as a browser would send it along. */
export interface Session {
  /** `name=value` of the session cookie. */
  readonly cookie: string;
}

export interface Device {
  /** What the batched dialect calls it. */
  readonly id: string;
  /** What the plain dialect calls it. */
  readonly imei: string;
}

/** An event of the suite's own or with devices of the suite's own, and what can be made to happen in it. */
export interface Stage {
  readonly eventId: string;
  readonly topic: string;
  readonly session: Session;
  /** The suite's own devices in it, at least three; nothing is known of their places at first. */
  readonly devices: readonly Device[];
  /** Puts a fix on the telemetry stream, and then where the processor puts it. */
  publish(device: Device, fix?: Partial<Position>): Promise<Position>;
  /** Puts a fix only where the processor puts it. */
  store(device: Device, fix?: Partial<Position>): Promise<Position>;
  /** Marks a stored fix faulty, as an operator does. */
  markFaulty(device: Device, fixAtMs: number): Promise<void>;
  addDevice(): Promise<Device>;
  removeDevice(device: Device): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type DirectusMood = 'ok' | 'slow' | '429' | '500' | '503' | 'hang' | 'refuse';

/** A Directus that does as it is told. */
export interface ObedientDirectus {
  /** A new user with a session that may see these events. */
  newViewer(...eventIds: readonly string[]): Session & { readonly userId: string };
  shareToken(): Session;
  foreignSession(): Session;
  expire(session: Session): void;
  allow(userId: string, eventId: string): void;
  forbid(userId: string, eventId: string): void;
  /** Resolves once it answers like that. */
  be(mood: DirectusMood): Promise<void>;
  /** The names of what it was sent by the gateway so far, a set a call. */
  calls(): readonly {
    readonly path: string;
    readonly headers: readonly string[];
    readonly cookies: readonly string[];
  }[];
}

/** Further servers on the same streams, with settings of their own. */
export interface Replicas {
  start(settings?: Readonly<Record<string, string>>): Promise<Replica>;
}

export interface Replica extends AsyncDisposable {
  readonly url: string;
  /** Asks it to end, as Kubernetes does; resolves at its end. */
  stop(): Promise<void>;
}

/** A telemetry stream beside the one of the stages, with some entries. */
export interface OwnStream extends AsyncDisposable {
  readonly key: string;
  /** It is emptied, and begins anew with earlier ids, as after a failover to a replica that was behind. */
  goBack(): Promise<void>;
}

/** What makes sentences testable beyond what any stranger can see. Each may be missing. */
export interface Means {
  /** Someone who may connect. */
  readonly session: Session;
  /** An event that `session` may see. */
  readonly eventId: string;
  /** Opens a stage: with telemetry and a database. `deviceCount` is 3 unless given. */
  readonly openStage: (options?: { readonly deviceCount?: number }) => Promise<Stage>;
  readonly directus: ObedientDirectus;
  readonly replicas: Replicas;
  /** For a replica of its own. */
  readonly ownStream: () => Promise<OwnStream>;
}

export interface Target extends Partial<Means> {
  /** `ws://host:port/path` */
  readonly url: string;
  /** An origin that is let in. */
  readonly origin: string;
  /** Whether a client without an Origin is let in. */
  readonly letsInWithoutOrigin: boolean;
  /** Of one connection, as `hello` tells them. */
  readonly limits: { readonly messagesPerS: number; readonly subscriptions: number };
  /** How long any answer may take. */
  readonly answerMs: number;
  /** How long a change in the database may take to be seen. */
  readonly refreshMs: number;
}
