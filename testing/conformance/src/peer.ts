import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchedServerMessage, plainServerMessage } from '@app/shared/messages';
import type { BatchedServerMessage, PlainServerMessage } from '@app/shared/messages';
import { subprotocol } from '@app/shared/protocol';
import { WebSocket } from 'ws';
import type { Session, Target } from './target.ts';

interface Dialects {
  readonly plain: PlainServerMessage;
  readonly batched: BatchedServerMessage;
}
export type Dialect = keyof Dialects;

type TypeOf<D extends Dialect> = Dialects[D]['type'];
export type MessageOf<D extends Dialect, T extends TypeOf<D>> = Extract<Dialects[D], { readonly type: T }>;

export interface Heard<D extends Dialect> {
  readonly message: Dialects[D];
  readonly bytes: number;
  readonly atMs: number;
}

const schemas = { plain: plainServerMessage, batched: batchedServerMessage };

/** A client that believes nothing: each frame is checked against the schema of its dialect, and kept. */
export class Peer<D extends Dialect> implements Disposable {
  readonly dialect: D;
  readonly socket: WebSocket;
  readonly heard: Heard<D>[] = [];
  /** What broke the protocol, first of all. */
  #problem: Error | undefined;
  #closed: { readonly code: number; readonly reason: string } | undefined;
  readonly #taken = new Set<unknown>();
  readonly #answerMs: number;
  readonly #messagesPerS: number;
  #said = 0;
  #saidSinceMs = performance.now();
  #wake = Promise.withResolvers<void>();

  constructor(dialect: D, socket: WebSocket, target: Target) {
    this.dialect = dialect;
    this.socket = socket;
    this.#answerMs = target.answerMs;
    this.#messagesPerS = target.limits.messagesPerS;
    socket.on('message', (data, isBinary) => this.#hear(data, isBinary));
    socket.on('close', (code, reason) => {
      this.#closed = { code, reason: reason.toString() };
      this.#stir();
    });
    // The close event follows and says more.
    socket.on('error', () => undefined);
  }

  /** Sends an object as JSON, and a text or bytes as they are. */
  send(message: object | string): void {
    const isRaw = typeof message === 'string' || Buffer.isBuffer(message);
    this.socket.send(isRaw ? message : JSON.stringify(message));
  }

  /** Sends at the pace that the server allows. */
  async say(message: object | string): Promise<void> {
    this.#said += 1;
    // A burst of one second's worth is taken by any server that keeps to its own limit.
    const dueMs = this.#saidSinceMs + (1_100 * (this.#said - this.#messagesPerS)) / this.#messagesPerS;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    this.send(message);
  }

  /** Waits for a message that fits and has not been waited for before. */
  async next<T extends TypeOf<D>>(
    type: T,
    where: (message: MessageOf<D, T>) => boolean = () => true,
    limitMs = this.#answerMs,
  ): Promise<MessageOf<D, T>> {
    return await this.#until(limitMs, `no ${type} that fits`, () => {
      for (const { message } of this.heard) {
        if (this.#taken.has(message) || !hasType<D, T>(message, type) || !where(message)) continue;
        this.#taken.add(message);
        return message;
      }
      return undefined;
    });
  }

  /** Waits until something is true of all that was heard. */
  async until(what: string, isSo: () => boolean, limitMs = this.#answerMs): Promise<void> {
    await this.#until(limitMs, `not so: ${what}`, () => (isSo() ? true : undefined));
  }

  /** Waits until nothing was heard for so long. */
  async quiet(forMs: number): Promise<void> {
    let before: number;
    do {
      before = this.heard.length;
      await sleep(forMs);
    } while (this.heard.length > before);
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** Waits for the end; its close code. */
  async closed(limitMs = this.#answerMs): Promise<{ readonly code: number; readonly reason: string }> {
    return await this.#until(limitMs, 'not closed', () => this.#closed);
  }

  /** Sends a ping and waits for its answer: all that was said before it has been answered by then. */
  async settle(): Promise<void> {
    const id = `settle-${Math.random()}`;
    await this.say({ type: 'ping', id });
    await this.#until(this.#answerMs, 'no pong', () =>
      this.heard.some(({ message }) => message.type === 'pong' && message.id === id) ? true : undefined,
    );
  }

  all<T extends TypeOf<D>>(type: T): readonly MessageOf<D, T>[] {
    return this.heard.flatMap(({ message }) => (hasType<D, T>(message, type) ? [message] : []));
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }

  async #until<R>(limitMs: number, what: string, look: () => R | undefined): Promise<R> {
    const deadlineMs = performance.now() + limitMs;
    const stop = new AbortController();
    try {
      for (;;) {
        const found = look();
        if (this.#problem !== undefined) throw this.#problem;
        if (found !== undefined) return found;
        const leftMs = deadlineMs - performance.now();
        if (leftMs <= 0 || (this.#closed !== undefined && this.socket.readyState === WebSocket.CLOSED)) {
          const said = this.heard.slice(-8).map(({ message }) => describe(message));
          const end = this.#closed === undefined ? '' : `; closed with ${this.#closed.code}`;
          throw new Error(`${what} within ${limitMs} ms; last heard: ${said.join(' ') || 'nothing'}${end}`);
        }
        await Promise.race([this.#wake.promise, sleep(leftMs, undefined, { signal: stop.signal })]);
      }
    } finally {
      stop.abort();
    }
  }

  #hear(data: WebSocket.RawData, isBinary: boolean): void {
    const text = Buffer.isBuffer(data) ? data.toString() : '';
    const message = isBinary ? undefined : readJson(text);
    const parsed = schemas[this.dialect].safeParse(message);
    if (isBinary) this.#problem ??= new Error('a binary frame');
    else if (!parsed.success)
      this.#problem ??= new Error(`no message: ${text.slice(0, 200)}: ${parsed.error.message}`);
    else if (isOfDialect(this.dialect, parsed.data))
      this.heard.push({ message: parsed.data, bytes: Buffer.byteLength(text), atMs: performance.now() });
    this.#stir();
  }

  #stir(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

export interface HandshakeOptions {
  readonly session?: Session | undefined;
  /** `undefined` sends none. */
  readonly origin?: string | undefined;
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

/** Connects and speaks this dialect. */
export async function connect<D extends Dialect>(
  target: Target,
  dialect: D,
  session: Session | undefined,
  options: { readonly url?: string; readonly autoPong?: boolean } = {},
): Promise<Peer<D>> {
  const peer = await tryConnect({ ...target, url: options.url ?? target.url }, dialect, {
    session,
    origin: target.origin,
    ...(options.autoPong === false && { autoPong: false }),
  });
  if (!(peer instanceof Peer)) throw new Error(`refused with ${peer.status}`);
  return peer;
}

/** Connects, or says how it was refused. */
export async function tryConnect<D extends Dialect>(
  target: Target,
  dialect: D,
  handshake: HandshakeOptions & { readonly autoPong?: boolean },
): Promise<Peer<D> | Refusal> {
  const protocols = handshake.protocols ?? (dialect === 'batched' ? [subprotocol] : []);
  const socket = new WebSocket(target.url, [...protocols], {
    perMessageDeflate: false,
    handshakeTimeout: target.answerMs,
    autoPong: handshake.autoPong ?? true,
    headers: {
      ...(handshake.origin !== undefined && { origin: handshake.origin }),
      ...(handshake.session !== undefined && { cookie: handshake.session.cookie }),
      ...handshake.headers,
    },
  });
  const peer = new Peer(dialect, socket, target);
  const refused = new Promise<Refusal>((resolve) => {
    socket.once('unexpected-response', (request, response) => {
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
      request.destroy();
    });
  });
  return await Promise.race([refused, once(socket, 'open').then(() => peer)]);
}

function hasType<D extends Dialect, T extends TypeOf<D>>(
  message: Dialects[D],
  type: T,
): message is MessageOf<D, T> {
  return message.type === type;
}

/** By its schema it is; only the type system cannot follow from the value to the parameter. */
function isOfDialect<D extends Dialect>(
  _dialect: D,
  message: PlainServerMessage | BatchedServerMessage,
): message is Dialects[D] {
  return message.type !== undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Without coordinates. */
function describe(message: PlainServerMessage | BatchedServerMessage): string {
  return message.type === 'error' ? `error ${message.code}` : message.type;
}
