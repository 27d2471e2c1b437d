import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchedServerMessage, plainServerMessage } from '@app/shared/messages';
import type { BatchedServerMessage, PlainServerMessage } from '@app/shared/messages';
import { subprotocol } from '@app/shared/protocol';
import { WebSocket } from 'ws';
import { createFrameInflater } from './frame-inflater.ts';
import type { Session, Target } from './target.ts';

interface Dialects {
  readonly plain: PlainServerMessage;
  readonly batched: BatchedServerMessage;
}
export type Dialect = keyof Dialects;

type TypeOf<D extends Dialect> = Dialects[D]['type'];
export type MessageOf<D extends Dialect, T extends TypeOf<D>> = Extract<Dialects[D], { readonly type: T }>;

interface ReceivedFrame<D extends Dialect> {
  readonly message: Dialects[D];
  readonly bytes: number;
  readonly atMs: number;
}

const schemas = { plain: plainServerMessage, batched: batchedServerMessage };

/** A client that validates each frame against the schema of its dialect and records it. */
export class Client<D extends Dialect> implements Disposable {
  readonly dialect: D;
  readonly socket: WebSocket;
  /** Whether binary frames are allowed: the client has subscribed with `deflate`. */
  readsDeflated = false;
  readonly received: ReceivedFrame<D>[] = [];
  /** The first violation of the protocol. */
  #violation: Error | undefined;
  #closeCode: number | undefined;
  /** Messages that `next` has returned. */
  readonly #consumed = new Set<unknown>();
  readonly #inflate = createFrameInflater();
  readonly #answerMs: number;
  readonly #messagesPerS: number;
  #sentCount = 0;
  #sendingSinceMs = performance.now();
  #changed = Promise.withResolvers<void>();

  constructor(dialect: D, socket: WebSocket, target: Target) {
    this.dialect = dialect;
    this.socket = socket;
    this.#answerMs = target.answerMs;
    this.#messagesPerS = target.limits.messagesPerS;
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('close', (code) => {
      this.#closeCode = code;
      this.#notify();
    });
    // The close event follows with the code.
    socket.on('error', () => undefined);
  }

  /** Sends an object as JSON, a string or bytes as given. Does not keep to the server's rate limit. */
  sendNow(message: object | string): void {
    const isRaw = typeof message === 'string' || Buffer.isBuffer(message);
    this.socket.send(isRaw ? message : JSON.stringify(message));
  }

  /** Sends within the server's rate limit; waits if necessary. */
  async send(message: object | string): Promise<void> {
    this.#sentCount += 1;
    // The limit allows a burst of one second's messages.
    const dueMs =
      this.#sendingSinceMs + (1_100 * (this.#sentCount - this.#messagesPerS)) / this.#messagesPerS;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    this.sendNow(message);
  }

  /** Waits for a matching message that no earlier call has returned. */
  async next<T extends TypeOf<D>>(
    type: T,
    where: (message: MessageOf<D, T>) => boolean = () => true,
    timeoutMs = this.#answerMs,
  ): Promise<MessageOf<D, T>> {
    return await this.#waitFor(timeoutMs, `no matching ${type}`, () => {
      for (const { message } of this.received) {
        if (this.#consumed.has(message) || !hasType<D, T>(message, type) || !where(message)) continue;
        this.#consumed.add(message);
        return message;
      }
      return undefined;
    });
  }

  /** Waits until a condition on the received messages holds. */
  async until(what: string, holds: () => boolean, timeoutMs = this.#answerMs): Promise<void> {
    await this.#waitFor(timeoutMs, `not so: ${what}`, () => (holds() ? true : undefined));
  }

  /** Waits until nothing has been received for a period. */
  async untilQuiet(forMs: number): Promise<void> {
    let before: number;
    do {
      before = this.received.length;
      await sleep(forMs);
    } while (this.received.length > before);
  }

  get isClosed(): boolean {
    return this.#closeCode !== undefined;
  }

  /** Waits until the connection is closed; returns the close code. */
  async closed(timeoutMs = this.#answerMs): Promise<number> {
    return await this.#waitFor(timeoutMs, 'not closed', () => this.#closeCode);
  }

  /** Sends a ping and waits for its pong: by then the server has answered everything sent before. */
  async roundTrip(): Promise<void> {
    const id = `round-trip-${Math.random()}`;
    await this.send({ type: 'ping', id });
    await this.until('the ping is answered', () =>
      this.received.some(({ message }) => message.type === 'pong' && message.id === id),
    );
  }

  all<T extends TypeOf<D>>(type: T): readonly MessageOf<D, T>[] {
    return this.received.flatMap(({ message }) => (hasType<D, T>(message, type) ? [message] : []));
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }

  async #waitFor<R>(timeoutMs: number, failure: string, find: () => R | undefined): Promise<R> {
    const deadlineMs = performance.now() + timeoutMs;
    const stop = new AbortController();
    try {
      for (;;) {
        const found = find();
        if (this.#violation !== undefined) throw this.#violation;
        if (found !== undefined) return found;
        const leftMs = deadlineMs - performance.now();
        if (leftMs <= 0 || (this.isClosed && this.socket.readyState === WebSocket.CLOSED)) {
          const last = this.received.slice(-8).map(({ message }) => describe(message));
          const close = this.#closeCode === undefined ? '' : `; closed with ${this.#closeCode}`;
          throw new Error(
            `${failure} within ${timeoutMs} ms; last received: ${last.join(' ') || 'nothing'}${close}`,
          );
        }
        await Promise.race([this.#changed.promise, sleep(leftMs, undefined, { signal: stop.signal })]);
      }
    } finally {
      stop.abort();
    }
  }

  #receive(data: WebSocket.RawData, isBinary: boolean): void {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.alloc(0);
    let json: string | undefined;
    try {
      if (isBinary && !this.readsDeflated) throw new Error('received a binary frame');
      json = isBinary ? this.#inflate(bytes) : bytes.toString();
    } catch (error) {
      this.#violation ??= new Error('received an invalid binary frame', { cause: error });
    }
    if (json !== undefined) this.#receiveMessage(json);
    this.#notify();
  }

  #receiveMessage(json: string): void {
    const parsed = schemas[this.dialect].safeParse(parseJson(json));
    if (!parsed.success)
      this.#violation ??= new Error(
        `received an invalid message: ${json.slice(0, 200)}: ${parsed.error.message}`,
      );
    else if (isOfDialect(this.dialect, parsed.data))
      this.received.push({ message: parsed.data, bytes: Buffer.byteLength(json), atMs: performance.now() });
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

export interface HandshakeOptions {
  readonly session?: Session | undefined;
  /** `undefined` sends no Origin header. */
  readonly origin?: string | undefined;
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

/** Connects in a dialect; rejects if the server refuses the upgrade. */
export async function connect<D extends Dialect>(
  target: Target,
  dialect: D,
  session: Session | undefined,
  options: { readonly url?: string; readonly autoPong?: boolean } = {},
): Promise<Client<D>> {
  const { url = target.url, autoPong = true } = options;
  const result = await tryConnect({ ...target, url }, dialect, { session, origin: target.origin, autoPong });
  if (!(result instanceof Client)) throw new Error(`upgrade refused with ${result.status}`);
  return result;
}

/** Connects, or returns how the server refused the upgrade. */
export async function tryConnect<D extends Dialect>(
  target: Target,
  dialect: D,
  handshake: HandshakeOptions & { readonly autoPong?: boolean },
): Promise<Client<D> | Refusal> {
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
  const client = new Client(dialect, socket, target);
  const refused = new Promise<Refusal>((resolve) => {
    socket.once('unexpected-response', (request, response) => {
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
      request.destroy();
    });
  });
  return await Promise.race([refused, once(socket, 'open').then(() => client)]);
}

function hasType<D extends Dialect, T extends TypeOf<D>>(
  message: Dialects[D],
  type: T,
): message is MessageOf<D, T> {
  return message.type === type;
}

/** Always true after validation; TypeScript cannot infer the type parameter from the dialect's value. */
function isOfDialect<D extends Dialect>(
  _dialect: D,
  message: PlainServerMessage | BatchedServerMessage,
): message is Dialects[D] {
  return message.type !== undefined;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Omits coordinates. */
function describe(message: PlainServerMessage | BatchedServerMessage): string {
  return message.type === 'error' ? `error ${message.code}` : message.type;
}
