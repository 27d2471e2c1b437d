import { once } from 'node:events';
import { batchedServerMessage, plainServerMessage } from '@app/shared/messages';
import type { BatchedServerMessage, PlainServerMessage, ServerMessage } from '@app/shared/messages';
import { subprotocol } from '@app/shared/protocol';
import { eventually } from '@app/test-kit/eventually';
import { WebSocket } from 'ws';
import { createInflater } from './inflate-frames.ts';
import type { Fixture } from './open-fixture.ts';
import { testOrigin } from './start-gateway.ts';
import type { RunningGateway } from './start-gateway.ts';

type MessageOf<M extends ServerMessage, T extends M['type']> = Extract<M, { type: T }>;

/** A client without the client library; by default in the plain dialect. */
export interface Viewer<M extends ServerMessage = PlainServerMessage> extends Disposable {
  readonly socket: WebSocket;
  /** All messages so far, each checked against the protocol's schema. */
  readonly messages: readonly M[];
  /** Bytes of the longest frame so far. */
  longestFrame(): number;
  /** Bytes and messages of the deflated frames so far, without dictionaries. */
  readonly deflated: readonly { readonly bytes: number; readonly message: M }[];
  /** Sends an object as JSON, a string unchanged. */
  send(message: object | string): void;
  /** Waits for a message of this type that `where` accepts and no earlier call has returned. */
  next<T extends M['type']>(
    type: T,
    where?: (message: MessageOf<M, T>) => boolean,
    timeoutMs?: number,
  ): Promise<MessageOf<M, T>>;
  /** Waits for the close; resolves to its code. */
  closed(timeoutMs?: number): Promise<number>;
}

/** The response to a refused upgrade request. */
export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

export interface Handshake {
  /** Value of the session cookie; no cookie if undefined. */
  readonly session?: string | undefined;
  readonly origin?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default true. */
  readonly answersPings?: boolean;
}

export type BatchedViewer = Viewer<BatchedServerMessage>;

/** Connects; resolves to the refusal if the upgrade was refused. */
export async function tryConnect(wsUrl: string, handshake: Handshake): Promise<Viewer | Refusal> {
  return open(wsUrl, [], handshake, (json) => plainServerMessage.parse(json));
}

export async function connect(wsUrl: string, handshake: Handshake): Promise<Viewer> {
  return admitted(await tryConnect(wsUrl, handshake));
}

/** Connects with the subprotocol `live.v1`. */
export async function connectBatched(wsUrl: string, handshake: Handshake): Promise<BatchedViewer> {
  return admitted(await open(wsUrl, [subprotocol], handshake, (json) => batchedServerMessage.parse(json)));
}

/** Connects a new user that may see the event and sends `subscribe`. The caller waits for the reply. */
export async function subscribe(
  { wsUrl }: RunningGateway,
  fixture: Fixture,
  eventId: string,
): Promise<Viewer> {
  const viewer = await connect(wsUrl, { session: fixture.addViewer(eventId).session });
  viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
  return viewer;
}

/** The fix time of the newest row per device that the viewer was sent. */
export function shownFixTimes({ messages }: BatchedViewer): ReadonlyMap<string, number> {
  const fixTimes = new Map<string, number>();
  for (const message of messages) {
    if (message.type !== 'positions' && message.type !== 'snapshot') continue;
    for (const [deviceId, , , ts] of message.rows) fixTimes.set(deviceId, ts);
  }
  return fixTimes;
}

function admitted<V extends Viewer<ServerMessage>>(viewer: V | Refusal): V {
  if ('status' in viewer) throw new Error(`refused with ${viewer.status}`);
  return viewer;
}

async function open<M extends ServerMessage>(
  wsUrl: string,
  protocols: string[],
  handshake: Handshake,
  parse: (json: unknown) => M,
): Promise<Viewer<M> | Refusal> {
  const { session, origin = testOrigin } = handshake;
  const socket = new WebSocket(wsUrl, protocols, {
    perMessageDeflate: false,
    autoPong: handshake.answersPings ?? true,
    headers: {
      ...(origin !== '' && { origin }),
      ...(session !== undefined && { cookie: `theme=dark; directus_session_token=${session}; lang=de` }),
      ...handshake.headers,
    },
  });
  const refused = new Promise<Refusal>((resolve) => {
    socket.once('unexpected-response', (request, response) => {
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
      request.destroy();
    });
  });
  const viewer = watch(socket, parse);
  return Promise.race([refused, once(socket, 'open').then(() => viewer)]);
}

function watch<M extends ServerMessage>(socket: WebSocket, parse: (json: unknown) => M): Viewer<M> {
  const messages: M[] = [];
  const returned = new Set<M>();
  const deflated: { bytes: number; message: M }[] = [];
  const inflate = createInflater();
  let longestFrame = 0;
  let closeCode: number | undefined;
  let parseError: Error | undefined;
  socket.on('message', (data, isBinary) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from('null');
    longestFrame = Math.max(longestFrame, bytes.byteLength);
    try {
      const json = isBinary ? inflate(bytes) : bytes.toString();
      if (json === undefined) return;
      const message = parse(JSON.parse(json));
      messages.push(message);
      if (isBinary) deflated.push({ bytes: bytes.byteLength, message });
    } catch (error) {
      parseError ??= error instanceof Error ? error : new Error(String(error));
    }
  });
  socket.on('close', (code) => {
    closeCode = code;
  });
  // Tests of refused and broken connections check the close code.
  socket.on('error', () => undefined);
  return {
    socket,
    messages,
    longestFrame: () => longestFrame,
    deflated,
    send: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    next: async <T extends M['type']>(
      type: T,
      where: (message: MessageOf<M, T>) => boolean = () => true,
      timeoutMs = 5_000,
    ) =>
      eventually(
        () => {
          if (parseError !== undefined) throw parseError;
          const isMatch = (message: M): message is MessageOf<M, T> =>
            message.type === type && !returned.has(message);
          const found = messages.filter(isMatch).find(where);
          if (found === undefined) {
            throw new Error(
              `no ${type} among ${messages.map((message) => message.type).join(' ')}; close code ${closeCode}`,
            );
          }
          returned.add(found);
          return found;
        },
        { timeoutMs, intervalMs: 5 },
      ),
    closed: (timeoutMs = 5_000) => eventually(() => closeCode, { timeoutMs }),
    [Symbol.dispose]: () => socket.terminate(),
  };
}
