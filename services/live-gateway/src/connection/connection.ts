import type { WebSocket } from 'uWebSockets.js';
import { closeReasons } from './close-reasons.ts';
import type { CloseReason } from './close-reasons.ts';
import type { Viewer } from '../access/visitor.ts';
import type { Traffic } from './traffic.ts';

/** What a connection may cost. */
export interface ConnectionLimits {
  /** Above so many unsent bytes nothing more is written until the client has taken some. */
  readonly highWaterBytes: number;
  /** Nor above so many bytes since the last ping that the client has answered. */
  readonly unansweredBytes: number;
  /** So many replies wait for a client that does not read; one more closes the connection. */
  readonly maxQueuedReplies: number;
}

type Socket = Pick<WebSocket<unknown>, 'send' | 'cork' | 'ping' | 'end' | 'getBufferedAmount'>;

/** A ping that the client has not answered yet. */
interface OpenPing {
  readonly number: number;
  /** What had been sent before it, since the connection was opened. */
  readonly sentBytes: number;
  readonly atMs: number;
}

/** So long after something was sent a ping asks how far the client has read, if half of what may be unanswered did not. */
const pingAfterMs = 2_000;
/** A ping that is due soon goes with a frame: alone it is a packet of its own, which costs as much as the frame. */
const ridingPingAfterMs = 1_700;

/**
 * One client's socket.
 *
 * uWebSockets.js throws on any use of a closed socket, and closes synchronously inside `end`: everything here asks
 * `isOpen` first, which is false from the first statement of the close handler on. Writes are corked, because most of
 * them come from timers and replies of Redis, where each uncorked send is a system call.
 *
 * How far a client is behind is measured by what it has answered. The socket's own buffer stays empty until the kernel
 * has taken some 4 MiB, minutes of a feed, that nobody may ever read.
 */
export class Connection {
  readonly viewer: Viewer;
  /** Whether it speaks `live.v1`. */
  readonly isBatched: boolean;
  readonly openedAtMs: number;
  /** Called when nothing was sent for a while. */
  onIdle: () => void = () => undefined;
  readonly #socket: Socket;
  readonly #limits: ConnectionLimits;
  readonly #traffic: Traffic;
  readonly #nowMs: () => number;
  #isOpen = true;
  /** Replies that are owed to the client while it does not read. */
  #waitingReplies: string[] = [];
  /** The socket has kept some of what was sent; only then its buffer needs to be asked for. */
  #hasBuffered = false;
  /** The socket has thrown a frame away. */
  #hasLost = false;
  #backedUpSinceMs: number | undefined;
  // Numbers from the first: of a field that begins as undefined V8 makes a new number at each write.
  #heardAtMs = 0;
  #pingedAtMs = 0;
  #sentAtMs = 0;
  #sentBytes = 0;
  /** `#sentBytes` before the last ping, and before the last answered one. */
  #pingedBytes = 0;
  #answeredBytes = 0;
  #pings = 0;
  #openPings: OpenPing[] = [];

  constructor(options: {
    readonly socket: Socket;
    readonly viewer: Viewer;
    readonly isBatched: boolean;
    readonly limits: ConnectionLimits;
    readonly traffic: Traffic;
    readonly nowMs: () => number;
  }) {
    this.viewer = options.viewer;
    this.isBatched = options.isBatched;
    this.#socket = options.socket;
    this.#limits = options.limits;
    this.#traffic = options.traffic;
    this.#nowMs = options.nowMs;
    this.openedAtMs = options.nowMs();
    this.#heardAtMs = this.openedAtMs;
    this.#pingedAtMs = this.openedAtMs;
    this.#sentAtMs = this.openedAtMs;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Since when the client is behind, by the process's clock: since the oldest ping that it has not answered, or since its
   * socket's buffer is full. Undefined if it keeps up.
   */
  get laggingSinceMs(): number | undefined {
    if (!this.#isOpen || !this.#isBehind()) return undefined;
    const pingedAtMs = this.#openPings[0]?.atMs ?? Infinity;
    return Math.min(pingedAtMs, this.#backedUpSinceMs ?? pingedAtMs);
  }

  get lastActivityAtMs(): number {
    return this.#heardAtMs;
  }

  get pingedAtMs(): number {
    return this.#pingedAtMs;
  }

  /** When a frame was last sent; pings are none, a page cannot see them. */
  get sentAtMs(): number {
    return this.#sentAtMs;
  }

  /** Whether something was sent a while ago that no ping has asked about yet. */
  isPingDue(nowMs: number, intervalMs: number): boolean {
    const sincePingMs = nowMs - this.#pingedAtMs;
    return sincePingMs >= intervalMs || (sincePingMs >= pingAfterMs && this.#sentBytes > this.#pingedBytes);
  }

  /** Whether something written now would go out, not into a queue. False for a client that is behind, or gone. */
  canTake(): boolean {
    return this.#isOpen && this.#waitingReplies.length === 0 && !this.#isBehind();
  }

  /**
   * Sends a reply, or keeps it until the client reads again. Replies keep their order among each other and come before
   * all rows written later.
   */
  reply(text: string): void {
    if (!this.#isOpen) return;
    if (this.canTake()) {
      this.#send([text]);
    } else if (this.#waitingReplies.length < this.#limits.maxQueuedReplies) {
      this.#waitingReplies.push(text);
    } else {
      this.end(closeReasons.tooManyQueuedReplies);
    }
  }

  /**
   * Writes as many of the frames as the client can take now and says how many those were: the rest is the caller's to
   * keep. 0 if the client is behind or gone.
   */
  writeRows(frames: readonly (string | Uint8Array)[]): number {
    return this.#waitingReplies.length === 0 ? this.#send(frames) : 0;
  }

  ping(): void {
    if (this.#isOpen) this.#socket.cork(() => this.#ping(this.#nowMs()));
  }

  /** Closes with a close frame, which a client over its backpressure limit will not get: it sees 1006. */
  end({ code, reason }: CloseReason): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#waitingReplies = [];
    this.#socket.end(code, reason);
  }

  /** For the socket's handlers: the client has sent something, a pong too. */
  noteActivity(): void {
    this.#heardAtMs = this.#nowMs();
  }

  /** For the socket's handlers: the client has read all that came before this ping. */
  notePong(pingNumber: number): void {
    // Not in the list: a pong that nobody has asked for, or an old one.
    const at = this.#openPings.findIndex(({ number }) => number === pingNumber);
    if (at === -1) return;
    this.#answeredBytes = this.#openPings[at]?.sentBytes ?? this.#answeredBytes;
    this.#openPings = at === this.#openPings.length - 1 ? [] : this.#openPings.slice(at + 1);
    this.#sendWaiting();
  }

  /** For the socket's handlers: the client has taken some of what was waiting. */
  noteDrained(): void {
    this.#sendWaiting();
  }

  /** For the socket's handlers: from now on the socket must not be touched. */
  noteClosed(): void {
    this.#isOpen = false;
    this.#waitingReplies = [];
  }

  #sendWaiting(): void {
    const waiting = this.#waitingReplies;
    if (waiting.length === 0 || !this.#isOpen || this.#isBehind()) return;
    const sent = this.#send(waiting);
    if (this.#isOpen) this.#waitingReplies = waiting.slice(sent);
  }

  #isBehind(): boolean {
    if (this.#sentBytes - this.#answeredBytes > this.#limits.unansweredBytes) return true;
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

  /** @returns how many frames the socket took. */
  #send(frames: readonly (string | Uint8Array)[]): number {
    const first = frames[0];
    if (!this.#isOpen || first === undefined || this.#isBehind()) return 0;
    const sentBytesBefore = this.#sentBytes;
    this.#sentAtMs = this.#nowMs();
    // One frame and nothing else is one system call anyhow, and says itself what the kernel did not take.
    const isAlone = frames.length === 1 && !this.#hasSentMuch(bytesOf(first)) && !this.#isPingSoonDue();
    const sent = isAlone ? this.#sendEach(frames) : this.#sendCorked(frames);
    this.#traffic.onSent(sent, this.#sentBytes - sentBytesBefore);
    // A client that has missed one frame no longer holds what the others hold, and cannot know it.
    if (this.#hasLost) this.end(closeReasons.frameDropped);
    return sent;
  }

  #sendCorked(frames: readonly (string | Uint8Array)[]): number {
    let sent = 0;
    this.#socket.cork(() => {
      sent = this.#sendEach(frames);
    });
    // In a cork a send succeeds whatever becomes of it: what the kernel did not take shows only after it.
    this.#hasBuffered ||= this.#socket.getBufferedAmount() > 0;
    return sent;
  }

  #sendEach(frames: readonly (string | Uint8Array)[]): number {
    let sent = 0;
    for (const frame of frames) {
      // 400 chunks in one go lose a third even to a healthy reader.
      if (sent > 0 && this.#isBehind()) break;
      // 1 sent, 0 buffered, 2 dropped.
      const status = this.#socket.send(frame, false);
      if (status === 2) {
        this.#hasLost = true;
        return sent;
      }
      if (status === 0) this.#hasBuffered = true;
      sent += 1;
      this.#sentBytes += bytesOf(frame);
      if (this.#hasSentMuch(0)) this.#ping(this.#sentAtMs);
    }
    if (sent > 0 && this.#isPingSoonDue()) this.#ping(this.#sentAtMs);
    return sent;
  }

  /** Whether so much was sent since the last ping, with so many bytes more, that the next one has to ask. */
  #hasSentMuch(moreBytes: number): boolean {
    return this.#sentBytes + moreBytes - this.#pingedBytes >= this.#limits.unansweredBytes / 2;
  }

  #isPingSoonDue(): boolean {
    return this.#sentAtMs - this.#pingedAtMs >= ridingPingAfterMs;
  }

  /** In a cork. */
  #ping(nowMs: number): void {
    this.#pings += 1;
    this.#pingedAtMs = nowMs;
    this.#pingedBytes = this.#sentBytes;
    this.#openPings.push({ number: this.#pings, sentBytes: this.#sentBytes, atMs: nowMs });
    this.#socket.ping(String(this.#pings));
  }
}

function bytesOf(frame: string | Uint8Array): number {
  return typeof frame === 'string' ? Buffer.byteLength(frame) : frame.byteLength;
}
