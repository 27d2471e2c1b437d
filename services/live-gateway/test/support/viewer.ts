import { once } from 'node:events';
import { batchedServerMessage, plainServerMessage } from '@app/shared/messages';
import type { BatchedServerMessage, PlainServerMessage, ServerMessage } from '@app/shared/messages';
import { subprotocol } from '@app/shared/protocol';
import { eventually } from '@app/test-kit/eventually';
import { WebSocket } from 'ws';
import { testOrigin } from './start-gateway.ts';

type MessageOf<M extends ServerMessage, T extends M['type']> = Extract<M, { type: T }>;

/** A client written by hand: unless it says otherwise, in the plain dialect. */
export interface Viewer<M extends ServerMessage = PlainServerMessage> extends Disposable {
  readonly socket: WebSocket;
  /** All messages so far, each checked against the protocol's schema. */
  readonly messages: readonly M[];
  /** The bytes of the longest frame so far. */
  longestFrame(): number;
  /** Sends an object as JSON, and a text as it is. */
  send(message: object | string): void;
  /** Waits for a message of this type, with these fields, that has not been waited for before. */
  next<T extends M['type']>(
    type: T,
    where?: (message: MessageOf<M, T>) => boolean,
    timeoutMs?: number,
  ): Promise<MessageOf<M, T>>;
  /** Waits for the end; resolves to the close code. */
  closed(timeoutMs?: number): Promise<number>;
}

/** How a request to upgrade was refused. */
export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

export interface Handshake {
  /** The value of the session cookie; none if undefined. */
  readonly session?: string | undefined;
  readonly origin?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** True unless given. */
  readonly answersPings?: boolean;
}

export type BatchedViewer = Viewer<BatchedServerMessage>;

/** Connects, or says how it was refused. */
export async function tryConnect(wsUrl: string, handshake: Handshake): Promise<Viewer | Refusal> {
  return open(wsUrl, [], handshake, (json) => plainServerMessage.parse(json));
}

export async function connect(wsUrl: string, handshake: Handshake): Promise<Viewer> {
  return admitted(await tryConnect(wsUrl, handshake));
}

/** Speaks `live.v1`. */
export async function connectBatched(wsUrl: string, handshake: Handshake): Promise<BatchedViewer> {
  return admitted(await open(wsUrl, [subprotocol], handshake, (json) => batchedServerMessage.parse(json)));
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
  const waitedFor = new Set<M>();
  let longestFrame = 0;
  let closeCode: number | undefined;
  let problem: Error | undefined;
  socket.on('message', (data, isBinary) => {
    const bytes = Buffer.isBuffer(data) && !isBinary ? data : Buffer.from('null');
    longestFrame = Math.max(longestFrame, bytes.byteLength);
    try {
      messages.push(parse(JSON.parse(bytes.toString())));
    } catch (error) {
      problem ??= error instanceof Error ? error : new Error(String(error));
    }
  });
  socket.on('close', (code) => {
    closeCode = code;
  });
  // A refused or broken connection is what many tests are about: they look at its close code.
  socket.on('error', () => undefined);
  return {
    socket,
    messages,
    longestFrame: () => longestFrame,
    send: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    next: async <T extends M['type']>(
      type: T,
      where: (message: MessageOf<M, T>) => boolean = () => true,
      timeoutMs = 5_000,
    ) =>
      eventually(
        () => {
          if (problem !== undefined) throw problem;
          const isWanted = (message: M): message is MessageOf<M, T> =>
            message.type === type && !waitedFor.has(message);
          const found = messages.filter(isWanted).find(where);
          if (found === undefined) {
            throw new Error(
              `no ${type} yet among ${messages.map((message) => message.type).join(' ')}; close ${closeCode}`,
            );
          }
          waitedFor.add(found);
          return found;
        },
        { timeoutMs, intervalMs: 5 },
      ),
    closed: (timeoutMs = 5_000) => eventually(() => closeCode, { timeoutMs }),
    [Symbol.dispose]: () => socket.terminate(),
  };
}
