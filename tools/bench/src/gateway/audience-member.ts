import { WebSocket } from 'ws';
import type { Crowd } from './audience-process.ts';
import { dialects } from './dialects.ts';
import type { Dialect } from './dialects.ts';

/** Frames and what is in them since the last reset. */
class Counts {
  frames = 0;
  bytes = 0;
  latenciesMs: number[] = [];

  reset(): void {
    this.frames = 0;
    this.bytes = 0;
    this.latenciesMs = [];
  }
}

/** One client. Frames are counted, and read only as far as the crowd is told to read them. */
export class AudienceMember {
  readonly counts = new Counts();
  readonly #crowd: Crowd;
  readonly #number: number;
  readonly #dialect: Dialect;
  onFrame: ((frame: Buffer) => void) | undefined;
  isLive = false;
  isClosed = false;
  hasRecovered = false;
  #socket: WebSocket | undefined;
  #lastCursorFrame: Buffer | undefined;
  #epoch: string | undefined;

  constructor(crowd: Crowd, number: number) {
    this.#crowd = crowd;
    this.#number = number;
    this.#dialect = dialects[crowd.dialect];
  }

  /** Resolves once it is live; rejects where it is refused or lost before. */
  async open(): Promise<void> {
    const { url, origin, sessions, localAddresses } = this.#crowd;
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
      const { topic, boxes } = this.#crowd;
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
        this.#noteCursor(data);
        if (step.isLive) goLive();
        return;
      }
      this.#hear(data, socket);
    });
    socket.on('unexpected-response', (request, { statusCode }) => {
      request.destroy();
      live.reject(new Error(`refused with ${statusCode}`));
    });
    // What went wrong, a close tells.
    socket.on('error', () => undefined);
    socket.on('close', (code) => {
      if (this.#socket !== socket) return;
      this.isLive = false;
      this.isClosed = true;
      live.reject(new Error(`closed with ${code} before it was live`));
    });
    await live.promise;
  }

  /** Reads nothing from now on. */
  stall(): void {
    this.#socket?.pause();
  }

  /** Is gone without a word. */
  cut(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.isLive = false;
    socket?.terminate();
  }

  #hear(data: Buffer, socket: WebSocket): void {
    const nowMs = Date.now();
    const { counts } = this;
    counts.frames += 1;
    counts.bytes += data.length;
    this.onFrame?.(data);
    this.#noteCursor(data);
    if (this.#dialect.answer !== undefined) {
      const answer = this.#dialect.answer(data);
      if (answer !== undefined) {
        counts.frames -= 1;
        socket.send(answer);
        return;
      }
    }
    if (!this.#crowd.readsPositions) return;
    for (const fixAtMs of this.#dialect.fixTimes(data)) counts.latenciesMs.push(nowMs - fixAtMs);
  }

  #noteCursor(data: Buffer): void {
    if (this.#crowd.resumes && data.includes('"cursor":"')) this.#lastCursorFrame = data;
  }

  #resumePoint(): { readonly cursor: string; readonly epoch: string } | undefined {
    if (this.#lastCursorFrame === undefined || this.#epoch === undefined) return undefined;
    const cursor = /"cursor":"([^"]+)"/u.exec(this.#lastCursorFrame.toString())?.[1];
    return cursor === undefined ? undefined : { cursor, epoch: this.#epoch };
  }
}
