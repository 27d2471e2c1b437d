import type { WebSocket } from 'uWebSockets.js';
import { closeCode } from '@app/shared/protocol';
import type { Viewer } from '../access/visitor.ts';
import type { Traffic } from './traffic.ts';

/** What a connection may cost. */
export interface ConnectionLimits {
  /** Above so many unsent bytes nothing more is written until the client has taken some. */
  readonly highWaterBytes: number;
  /** So many replies wait for a client that does not read; one more closes the connection. */
  readonly maxWaitingReplies: number;
}

type Socket = Pick<WebSocket<unknown>, 'send' | 'cork' | 'ping' | 'end' | 'getBufferedAmount'>;

/** How often a long write looks at the socket's buffer: 400 chunks in one go lose a third even to a healthy reader. */
const checkEveryBytes = 16_384;

/**
 * One client's socket.
 *
 * uWebSockets.js throws on any use of a closed socket, and closes synchronously inside `end`: everything here asks
 * `isOpen` first, which is false from the first statement of the close handler on. Writes are corked, because most of
 * them come from timers and replies of Redis, where each uncorked send is a system call.
 */
export class Connection {
  readonly viewer: Viewer;
  readonly openedAtMs: number;
  readonly #socket: Socket;
  readonly #limits: ConnectionLimits;
  readonly #traffic: Traffic;
  readonly #nowMs: () => number;
  #isOpen = true;
  /** Replies that are owed to the client while it does not read. */
  #waitingReplies: string[] = [];
  #backedUpSinceMs: number | undefined;
  #heardAtMs: number;
  #pingedAtMs: number;

  constructor(options: {
    readonly socket: Socket;
    readonly viewer: Viewer;
    readonly limits: ConnectionLimits;
    readonly traffic: Traffic;
    readonly nowMs: () => number;
  }) {
    this.viewer = options.viewer;
    this.#socket = options.socket;
    this.#limits = options.limits;
    this.#traffic = options.traffic;
    this.#nowMs = options.nowMs;
    this.openedAtMs = options.nowMs();
    this.#heardAtMs = this.openedAtMs;
    this.#pingedAtMs = this.openedAtMs;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Since when the client has not taken what was written, by the process's clock; undefined if it keeps up. */
  get backedUpSinceMs(): number | undefined {
    return this.#backedUpSinceMs;
  }

  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  get pingedAtMs(): number {
    return this.#pingedAtMs;
  }

  /** Whether something written now would go out, not into a queue. False for a client that is behind, or gone. */
  canTake(): boolean {
    if (!this.#isOpen) return false;
    if (this.#waitingReplies.length === 0 && !this.#isOverHighWater()) {
      this.#backedUpSinceMs = undefined;
      return true;
    }
    this.#backedUpSinceMs ??= this.#nowMs();
    return false;
  }

  /**
   * Sends a reply, or keeps it until the client reads again. Replies keep their order among each other and come before
   * all rows written later.
   */
  reply(text: string): void {
    if (!this.#isOpen) return;
    if (this.canTake()) {
      this.#send([text]);
    } else if (this.#waitingReplies.length < this.#limits.maxWaitingReplies) {
      this.#waitingReplies.push(text);
    } else {
      this.end(closeCode.tooSlow, 'too many replies wait to be read');
    }
  }

  /**
   * Writes as many of the frames as the client can take now and says how many those were: the rest is the caller's to
   * keep. 0 if the client is behind or gone.
   */
  writeRows(frames: readonly Uint8Array[]): number {
    return this.canTake() ? this.#send(frames) : 0;
  }

  ping(): void {
    if (!this.#isOpen) return;
    this.#pingedAtMs = this.#nowMs();
    this.#socket.cork(() => this.#socket.ping());
  }

  /** Closes with a close frame, which a client over its backpressure limit will not get: it sees 1006. */
  end(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#waitingReplies = [];
    this.#socket.end(code, reason);
  }

  /** For the socket's handlers: the client has sent something, a pong too. */
  noteHeard(): void {
    this.#heardAtMs = this.#nowMs();
  }

  /** For the socket's handlers: the client has taken some of what was waiting. */
  noteDrained(): void {
    if (!this.#isOpen || this.#isOverHighWater()) return;
    this.#backedUpSinceMs = undefined;
    const waiting = this.#waitingReplies;
    if (waiting.length === 0) return;
    const sent = this.#send(waiting);
    if (this.#isOpen) this.#waitingReplies = waiting.slice(sent);
  }

  /** For the socket's handlers: from now on the socket must not be touched. */
  noteClosed(): void {
    this.#isOpen = false;
    this.#waitingReplies = [];
  }

  #isOverHighWater(): boolean {
    return this.#socket.getBufferedAmount() > this.#limits.highWaterBytes;
  }

  /** @returns how many frames the socket took. */
  #send(frames: readonly (string | Uint8Array)[]): number {
    let sent = 0;
    let sentBytes = 0;
    let uncheckedBytes = 0;
    let isDropped = false;
    this.#socket.cork(() => {
      for (const frame of frames) {
        if (uncheckedBytes >= checkEveryBytes) {
          if (this.#isOverHighWater()) break;
          uncheckedBytes = 0;
        }
        // 1 sent, 0 buffered, 2 dropped.
        if (this.#socket.send(frame, false) === 2) {
          isDropped = true;
          break;
        }
        const frameBytes = typeof frame === 'string' ? Buffer.byteLength(frame) : frame.byteLength;
        sent += 1;
        sentBytes += frameBytes;
        uncheckedBytes += frameBytes;
      }
    });
    this.#traffic.onSent(sent, sentBytes);
    // A client that has missed one frame no longer holds what the others hold, and cannot know it.
    if (isDropped) this.end(closeCode.tooSlow, 'a frame was lost');
    return sent;
  }
}
