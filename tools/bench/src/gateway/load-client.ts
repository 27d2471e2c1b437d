import { WebSocket } from 'ws';
import type { ClientsOptions } from './clients.ts';
import { type Dialect, dialects } from './dialects.ts';

/** One client. It counts frames, and parses them only with `readsPositions`. */
export class LoadClient {
  frames = 0;
  bytes = 0;
  latenciesMs: number[] = [];
  onFrame: ((frame: Buffer) => void) | undefined;
  isLive = false;
  isClosed = false;
  hasRecovered = false;
  readonly #options: ClientsOptions;
  readonly #number: number;
  readonly #dialect: Dialect;
  #socket: WebSocket | undefined;
  #lastCursorFrame: Buffer | undefined;
  #epoch: string | undefined;

  constructor(options: ClientsOptions, number: number) {
    this.#options = options;
    this.#number = number;
    this.#dialect = dialects[options.dialect];
  }

  resetCounts(): void {
    this.frames = 0;
    this.bytes = 0;
    this.latenciesMs = [];
  }

  /** Resolves once it is live; rejects if it is refused or closed before. */
  async open(): Promise<void> {
    const { url, origin, sessions, localAddresses } = this.#options;
    const session = sessions[this.#number % sessions.length];
    const socket = new WebSocket(url, this.#dialect.subprotocols, {
      perMessageDeflate: false,
      skipUTF8Validation: true,
      localAddress: localAddresses[this.#number % localAddresses.length],
      headers: { origin, ...(session !== undefined && { cookie: `directus_session_token=${session}` }) },
    });
    this.#socket = socket;
    this.isClosed = false;
    this.hasRecovered = false;
    const live = Promise.withResolvers<void>();
    const goLive = (): void => {
      this.isLive = true;
      live.resolve();
    };
    socket.on('open', () => {
      const { topic, boxes } = this.#options;
      const bbox = boxes[this.#number % boxes.length];
      const subscribe = this.#dialect.subscribe({ topic, bbox, resume: this.#resumePoint() });
      if (subscribe !== undefined) socket.send(subscribe);
      if (this.#dialect.isLiveAtOnce) goLive();
    });
    socket.on('message', (data) => {
      if (!Buffer.isBuffer(data)) return;
      if (!this.isLive) {
        const step = this.#dialect.start(data);
        if (step.reply !== undefined) socket.send(step.reply);
        if (step.problem !== undefined) live.reject(new Error(step.problem));
        this.#epoch = step.epoch ?? this.#epoch;
        this.hasRecovered ||= step.hasRecovered === true;
        this.#keepCursor(data);
        if (step.isLive) goLive();
        return;
      }
      this.#count(data, socket);
    });
    socket.on('unexpected-response', (request, { statusCode }) => {
      request.destroy();
      live.reject(new Error(`refused with ${statusCode}`));
    });
    // 'close' follows.
    socket.on('error', () => undefined);
    socket.on('close', (code) => {
      if (this.#socket !== socket) return;
      this.isLive = false;
      this.isClosed = true;
      live.reject(new Error(`closed with ${code} before it was live`));
    });
    await live.promise;
  }

  /** Stops reading. */
  stall(): void {
    this.#socket?.pause();
  }

  /** Closes the connection without a close frame. */
  cut(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.isLive = false;
    socket?.terminate();
  }

  #count(data: Buffer, socket: WebSocket): void {
    const nowMs = Date.now();
    this.bytes += data.length;
    this.onFrame?.(data);
    this.#keepCursor(data);
    const answer = this.#dialect.answer?.(data);
    if (answer !== undefined) {
      socket.send(answer);
      return;
    }
    this.frames += 1;
    if (!this.#options.readsPositions) return;
    for (const fixAtMs of this.#dialect.fixTimes(data)) this.latenciesMs.push(nowMs - fixAtMs);
  }

  #keepCursor(data: Buffer): void {
    if (this.#options.resumes && data.includes('"cursor":"')) this.#lastCursorFrame = data;
  }

  #resumePoint(): { readonly cursor: string; readonly epoch: string } | undefined {
    if (this.#lastCursorFrame === undefined || this.#epoch === undefined) return undefined;
    const cursor = /"cursor":"([^"]+)"/u.exec(this.#lastCursorFrame.toString())?.[1];
    return cursor === undefined ? undefined : { cursor, epoch: this.#epoch };
  }
}
