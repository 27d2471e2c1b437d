import { randomUUID } from 'node:crypto';
import type { WebSocket } from 'uWebSockets.js';
import type { Viewer } from '../access/visitor.ts';
import type { ClientOperation, ReportClientError } from './client-errors.ts';
import { closeReasons } from './close-reasons.ts';
import type { CloseReason } from './close-reasons.ts';
import { PingTracker } from './ping-tracker.ts';
import type { Traffic } from './traffic.ts';

/** Limits per connection. A client above one of the byte limits is lagging: nothing more is written to it. */
export interface ConnectionLimits {
  /** Maximum unsent bytes in the socket's buffer. */
  readonly highWaterBytes: number;
  /** Maximum bytes sent since the last answered ping. */
  readonly unansweredBytes: number;
  /** Maximum replies queued for a lagging client; one more closes the connection. */
  readonly maxQueuedReplies: number;
}

type Socket = Pick<WebSocket<unknown>, 'send' | 'cork' | 'ping' | 'end' | 'getBufferedAmount'>;

/** The results of `WebSocket.send`; 1 is sent. */
const sendStatus = { buffered: 0, dropped: 2 } as const;

/** Delay after which sent bytes are followed by a ping, even if they are below half of `unansweredBytes`. */
const pingAfterMs = 2_000;
/** A ping due soon is sent with a frame: alone it is a packet of its own, which costs as much as the frame. */
const piggybackPingAfterMs = 1_700;

/**
 * The bounded writer of one client's socket.
 *
 * uWebSockets.js throws on any use of a closed socket, and calls the close handler synchronously inside `end`: every
 * method checks `isOpen` first. Writes are corked: most come from timers and Redis replies, where each uncorked send is
 * a system call.
 */
export class Connection {
  /** Identifies the connection in the log, and in captures of its messages. */
  readonly id = randomUUID();
  readonly viewer: Viewer;
  /** Whether the client speaks `live.v1`. */
  readonly isBatched: boolean;
  /** By the run clock, as all times of a connection. */
  readonly openedAtMs: number;
  /** Called when nothing was sent for the heartbeat interval. */
  onIdle: () => void = () => undefined;
  readonly #socket: Socket;
  readonly #limits: ConnectionLimits;
  readonly #traffic: Traffic;
  readonly #onError: ReportClientError;
  readonly #nowMs: () => number;
  readonly #pings: PingTracker;
  #isOpen = true;
  /** Replies queued while the client is lagging. */
  #queuedReplies: string[] = [];
  /** The socket has buffered bytes; `getBufferedAmount` is called only then. */
  #hasBuffered = false;
  /** The socket has dropped a frame. */
  #hasDropped = false;
  #backedUpSinceMs: number | undefined;
  // Initialised as numbers: V8 allocates a number at each write to a field that was first undefined.
  #lastActivityAtMs = 0;
  #sentAtMs = 0;
  #sentBytes = 0;

  constructor(options: {
    readonly socket: Socket;
    readonly viewer: Viewer;
    readonly isBatched: boolean;
    readonly limits: ConnectionLimits;
    readonly traffic: Traffic;
    readonly onError: ReportClientError;
    readonly nowMs: () => number;
  }) {
    this.viewer = options.viewer;
    this.isBatched = options.isBatched;
    this.#socket = options.socket;
    this.#limits = options.limits;
    this.#traffic = options.traffic;
    this.#onError = options.onError;
    this.#nowMs = options.nowMs;
    this.openedAtMs = options.nowMs();
    this.#pings = new PingTracker(this.openedAtMs);
    this.#lastActivityAtMs = this.openedAtMs;
    this.#sentAtMs = this.openedAtMs;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Since when the client has been lagging: since its oldest unanswered ping, or since the
   * socket's buffer exceeded the high-water mark. Undefined if it is not lagging.
   */
  get laggingSinceMs(): number | undefined {
    if (!this.#isOpen || !this.#isLagging()) return undefined;
    const pingedAtMs = this.#pings.oldestOpenAtMs;
    return Math.min(pingedAtMs, this.#backedUpSinceMs ?? pingedAtMs);
  }

  /** When the client last sent anything, pongs included. */
  get lastActivityAtMs(): number {
    return this.#lastActivityAtMs;
  }

  /** When a frame was last sent. Pings do not count: a page cannot see them. */
  get sentAtMs(): number {
    return this.#sentAtMs;
  }

  isPingDue(nowMs: number, intervalMs: number): boolean {
    const sincePingMs = nowMs - this.#pings.sentAtMs;
    return (
      sincePingMs >= intervalMs || (sincePingMs >= pingAfterMs && this.#sentBytes > this.#pings.pingedBytes)
    );
  }

  /** Whether a write would go out instead of into a queue. False for a client that is lagging or closed. */
  isWritable(): boolean {
    return this.#isOpen && this.#queuedReplies.length === 0 && !this.#isLagging();
  }

  /** Sends a reply, or queues it while the client is lagging. Replies keep their order and precede later rows. */
  reply(frame: string): void {
    if (!this.#isOpen) return;
    if (this.isWritable()) {
      this.#send([frame]);
    } else if (this.#queuedReplies.length < this.#limits.maxQueuedReplies) {
      this.#queuedReplies.push(frame);
    } else {
      this.end(closeReasons.tooManyQueuedReplies);
    }
  }

  /**
   * Writes frames until the client is lagging. The caller keeps the rest.
   * @returns the number of frames written; 0 if the client is lagging or closed.
   */
  writeFrames(frames: readonly (string | Uint8Array)[], isBinary = false): number {
    return this.#queuedReplies.length === 0 ? this.#send(frames, isBinary) : 0;
  }

  ping(): void {
    if (this.#isOpen) this.#socket.cork(() => this.#ping(this.#nowMs()));
  }

  /** Closes with a close frame. A client over its backpressure limit does not get the frame: it sees 1006. */
  end({ code, reason }: CloseReason): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#queuedReplies = [];
    this.#socket.end(code, reason);
  }

  /** Reports an unexpected error while this client was served, and closes its connection. */
  fail(operation: ClientOperation, error: unknown): void {
    this.#onError(operation, error, {
      connection: this.id,
      ...(this.viewer.userId !== undefined && { user: this.viewer.userId }),
    });
    this.end(closeReasons.internalError);
  }

  /** For the socket's handlers: the client has sent something, pongs included. */
  noteActivity(): void {
    this.#lastActivityAtMs = this.#nowMs();
  }

  /** For the socket's handlers: the client has read everything sent before this ping. */
  notePong(pingNumber: number): void {
    if (this.#pings.answer(pingNumber)) this.#flushReplies();
  }

  /** For the socket's handlers: the kernel has taken buffered bytes. */
  noteDrained(): void {
    this.#flushReplies();
  }

  /** For the socket's handlers: the socket must no longer be used. */
  noteClosed(): void {
    this.#isOpen = false;
    this.#queuedReplies = [];
  }

  #flushReplies(): void {
    const queued = this.#queuedReplies;
    if (queued.length === 0 || !this.#isOpen || this.#isLagging()) return;
    const sent = this.#send(queued);
    if (this.#isOpen) this.#queuedReplies = queued.slice(sent);
  }

  #isLagging(): boolean {
    if (this.#sentBytes - this.#pings.answeredBytes > this.#limits.unansweredBytes) return true;
    if (!this.#hasBuffered) return false;
    const bufferedBytes = this.#socket.getBufferedAmount();
    this.#hasBuffered = bufferedBytes > 0;
    if (bufferedBytes <= this.#limits.highWaterBytes) {
      this.#backedUpSinceMs = undefined;
      return false;
    }
    this.#backedUpSinceMs ??= this.#nowMs();
    return true;
  }

  /** @returns the number of frames that the socket took. */
  #send(frames: readonly (string | Uint8Array)[], isBinary = false): number {
    const first = frames[0];
    if (!this.#isOpen || first === undefined || this.#isLagging()) return 0;
    const sentBytesBefore = this.#sentBytes;
    this.#sentAtMs = this.#nowMs();
    // A single frame is one system call without a cork too, and `send` then reports what the kernel did not take.
    const isSingle = frames.length === 1 && !this.#isPingDueAfter(bytesOf(first)) && !this.#isPingDueSoon();
    const sent = isSingle ? this.#sendEach(frames, isBinary) : this.#sendCorked(frames, isBinary);
    this.#traffic.onSent(sent, this.#sentBytes - sentBytesBefore);
    if (this.#hasDropped) this.end(closeReasons.frameDropped);
    return sent;
  }

  #sendCorked(frames: readonly (string | Uint8Array)[], isBinary: boolean): number {
    let sent = 0;
    this.#socket.cork(() => {
      sent = this.#sendEach(frames, isBinary);
    });
    // Inside the cork `send` always succeeds: what the kernel did not take shows only afterwards.
    this.#hasBuffered ||= this.#socket.getBufferedAmount() > 0;
    return sent;
  }

  #sendEach(frames: readonly (string | Uint8Array)[], isBinary: boolean): number {
    let sent = 0;
    for (const frame of frames) {
      // Checked for each frame: of 400 chunks written at once, a third is dropped even for a client that keeps up.
      if (sent > 0 && this.#isLagging()) break;
      const status = this.#socket.send(frame, isBinary);
      if (status === sendStatus.dropped) {
        this.#hasDropped = true;
        return sent;
      }
      if (status === sendStatus.buffered) this.#hasBuffered = true;
      sent += 1;
      this.#sentBytes += bytesOf(frame);
      if (this.#isPingDueAfter(0)) this.#ping(this.#sentAtMs);
    }
    if (sent > 0 && this.#isPingDueSoon()) this.#ping(this.#sentAtMs);
    return sent;
  }

  /** Whether, with `moreBytes`, half of `unansweredBytes` has been sent since the last ping. */
  #isPingDueAfter(moreBytes: number): boolean {
    return this.#sentBytes + moreBytes - this.#pings.pingedBytes >= this.#limits.unansweredBytes / 2;
  }

  #isPingDueSoon(): boolean {
    return this.#sentAtMs - this.#pings.sentAtMs >= piggybackPingAfterMs;
  }

  /** Must be called inside a cork. */
  #ping(nowMs: number): void {
    this.#socket.ping(String(this.#pings.add(this.#sentBytes, nowMs)));
  }
}

function bytesOf(frame: string | Uint8Array): number {
  return typeof frame === 'string' ? Buffer.byteLength(frame) : frame.byteLength;
}
