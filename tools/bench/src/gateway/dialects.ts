/** What a frame means that arrives before the client is live. */
export interface Step {
  readonly isLive?: boolean;
  readonly reply?: string;
  readonly problem?: string;
  readonly epoch?: string;
  readonly hasRecovered?: boolean;
}

/** The protocol of one kind of server. */
export interface Dialect {
  readonly subprotocols: string[];
  readonly isLiveAtOnce: boolean;
  /** The message to send once the socket is open. */
  readonly subscribe: (options: SubscribeOptions) => string | undefined;
  readonly start: (frame: Buffer) => Step;
  /** The answer to a frame that needs one, such as engine.io's ping. */
  readonly answer?: (frame: Buffer) => string | undefined;
  /** The fix times in a frame, in ms since the epoch. */
  readonly fixTimes: (frame: Buffer) => readonly number[];
}

export interface SubscribeOptions {
  readonly topic: string;
  /** `[west, south, east, north]`; the whole world without it. */
  readonly bbox: readonly number[] | undefined;
  readonly resume: { readonly cursor: string; readonly epoch: string } | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const live: Dialect = {
  subprotocols: ['live.v1'],
  isLiveAtOnce: false,
  subscribe: ({ topic, bbox, resume }) =>
    JSON.stringify({
      type: 'subscribe',
      id: 1,
      topic,
      ...(bbox !== undefined && { bbox }),
      ...resume,
    }),
  start: (frame) => {
    const message: Fields = JSON.parse(frame.toString());
    if (message['type'] === 'error') return { problem: `refused: ${String(message['code'])}` };
    if (message['type'] === 'subscribed') {
      const hasRecovered = message['recovered'] === true;
      return { epoch: String(message['epoch']), hasRecovered, isLive: hasRecovered };
    }
    return { isLive: message['type'] === 'snapshot' && message['last'] === true };
  },
  fixTimes: (frame) => {
    const { type, rows }: { type: string; rows?: readonly unknown[][] } = JSON.parse(frame.toString());
    return type === 'positions' ? (rows ?? []).map((row) => Number(row[3])) : [];
  },
};

/** Frames of engine.io 4: `0` opens, `40` connects, `2` is a ping, `42` an event. */
const socketIo: Dialect = {
  subprotocols: [],
  isLiveAtOnce: false,
  subscribe: () => undefined,
  start: (frame) => {
    const text = frame.toString();
    if (text.startsWith('0')) return { reply: '40' };
    return { isLive: text.startsWith('40') };
  },
  answer: (frame) => (frame.length === 1 && frame[0] === 0x32 ? '3' : undefined),
  fixTimes: (frame) => {
    const [, { ts }]: [string, { ts: number }] = JSON.parse(frame.toString('utf8', 2));
    return [ts];
  },
};

/** A server that only sends positions, one per frame. */
const bare: Dialect = {
  subprotocols: [],
  isLiveAtOnce: true,
  subscribe: () => undefined,
  start: () => ({}),
  fixTimes: (frame) => {
    const { ts }: { ts: number } = JSON.parse(frame.toString());
    return [ts];
  },
};

/** The raw limit, which sends recorded frames of the gateway. */
const raw: Dialect = { ...bare, fixTimes: live.fixTimes };

export const dialects = { live, socketIo, bare, raw } as const;
