import { once } from 'node:events';
import { plainServerMessage } from '@app/shared/messages';
import type { PlainServerMessage } from '@app/shared/messages';
import { eventually } from '@app/test-kit/eventually';
import { WebSocket } from 'ws';
import { testOrigin } from './start-gateway.ts';

type MessageType = PlainServerMessage['type'];
type MessageOf<T extends MessageType> = Extract<PlainServerMessage, { type: T }>;

/** A client written by hand, in the plain dialect. */
export interface Viewer extends Disposable {
  readonly socket: WebSocket;
  /** All messages so far, each checked against the protocol's schema. */
  readonly messages: readonly PlainServerMessage[];
  /** Sends an object as JSON, and a text as it is. */
  send(message: object | string): void;
  /** Waits for a message of this type, with these fields, that has not been waited for before. */
  next<T extends MessageType>(
    type: T,
    where?: (message: MessageOf<T>) => boolean,
    timeoutMs?: number,
  ): Promise<MessageOf<T>>;
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

/** Connects, or says how it was refused. */
export async function tryConnect(wsUrl: string, handshake: Handshake): Promise<Viewer | Refusal> {
  const { session, origin = testOrigin } = handshake;
  const socket = new WebSocket(wsUrl, {
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
  const viewer = watch(socket);
  return Promise.race([refused, once(socket, 'open').then(() => viewer)]);
}

export async function connect(wsUrl: string, handshake: Handshake): Promise<Viewer> {
  const viewer = await tryConnect(wsUrl, handshake);
  if ('status' in viewer) throw new Error(`refused with ${viewer.status}`);
  return viewer;
}

function watch(socket: WebSocket): Viewer {
  const messages: PlainServerMessage[] = [];
  const waitedFor = new Set<PlainServerMessage>();
  let closeCode: number | undefined;
  let problem: Error | undefined;
  socket.on('message', (data, isBinary) => {
    const text = Buffer.isBuffer(data) && !isBinary ? data.toString() : 'null';
    const parsed = plainServerMessage.safeParse(JSON.parse(text));
    if (parsed.success) messages.push(parsed.data);
    else problem ??= parsed.error;
  });
  socket.on('close', (code) => {
    closeCode = code;
  });
  // A refused or broken connection is what many tests are about: they look at its close code.
  socket.on('error', () => undefined);
  return {
    socket,
    messages,
    send: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    next: async <T extends MessageType>(
      type: T,
      where: (message: MessageOf<T>) => boolean = () => true,
      timeoutMs = 5_000,
    ) =>
      eventually(
        () => {
          if (problem !== undefined) throw problem;
          const found = messages
            .filter((message) => hasType(message, type))
            .find((message) => !waitedFor.has(message) && where(message));
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

function hasType<T extends MessageType>(message: PlainServerMessage, type: T): message is MessageOf<T> {
  return message.type === type;
}
