import type { LiveSocket } from './connect.ts';

/** A `LiveSocket` that can deliver binary frames as ArrayBuffers. */
export interface BinarySocket extends LiveSocket {
  binaryType: string;
}

type Listening =
  | readonly ['open' | 'error', () => void]
  | readonly ['message', (event: { readonly data: unknown }) => void]
  | readonly ['close', (event: { readonly code: number; readonly reason: string }) => void];

/** For `ConnectOptions.openSocket` in a page: asks for deflated frames, which take a quarter of the bytes. */
export function openInflatingSocket(url: string, protocol: string): LiveSocket {
  return inflateFrames(new WebSocket(url, protocol));
}

/** Wraps a socket so that it asks for deflated frames and delivers them as text; unchanged where they cannot be read. */
export function inflateFrames(socket: BinarySocket): LiveSocket {
  if (typeof DecompressionStream !== 'function') return socket;
  socket.binaryType = 'arraybuffer';
  return {
    get protocol() {
      return socket.protocol;
    },
    send: (data) => socket.send(data.replace(/^\{"type":"subscribe"/, '$&,"deflate":true')),
    close: () => socket.close(),
    addEventListener: (...[type, listener]: Listening) => {
      if (type === 'message') {
        const read = createFrameReader(
          (data) => listener({ data }),
          // The client reconnects.
          () => socket.close(),
        );
        socket.addEventListener(type, ({ data }) => read(data));
      } else if (type === 'close') {
        socket.addEventListener(type, listener);
      } else {
        socket.addEventListener(type, listener);
      }
    },
  };
}

/** More than LIVE_MAX_SUBSCRIPTIONS allows, each of which uses one: others were replaced when the devices of an event changed. */
const maxDictionaries = 1024;

/**
 * Reads the frames of one connection in order: inflating is asynchronous, and text that follows waits for it. The layout
 * of a deflated frame is that of `deflatedFrame` in the protocol.
 *
 * @param onBroken called when a frame cannot be read.
 */
export function createFrameReader(
  onMessage: (message: string) => void,
  onBroken: () => void,
): (data: unknown) => void {
  /** ASCII, by number; the one used last is the last. */
  const dictionaries = new Map<string, string>();
  let reading = Promise.resolve();
  let waiting = 0;

  /** The message; undefined for a dictionary. */
  async function inflate(data: unknown): Promise<string | undefined> {
    if (!(data instanceof ArrayBuffer)) return undefined;
    const frame = new Uint8Array(data);
    const number = String(frame.subarray(1, 5));
    const isMessage = frame[0] === 1;
    // Without its dictionary a message cannot be inflated.
    const dictionary = (isMessage && dictionaries.get(number)) || '';
    const { length } = dictionary;
    // A DecompressionStream takes no dictionary, so it is given one as a stored block before the data.
    const block = Uint8Array.of(0, length, length >> 8, ~length, ~length >> 8);
    const stream = new Blob([block, dictionary, frame.subarray(5)])
      .stream()
      .pipeThrough(new DecompressionStream('deflate-raw'));
    const text = await new Response(stream).text();
    // As the one used last.
    dictionaries.delete(number);
    dictionaries.set(number, isMessage ? dictionary : text);
    if (isMessage) return text.slice(length);
    const [oldest] = dictionaries.keys();
    if (dictionaries.size > maxDictionaries && oldest !== undefined) dictionaries.delete(oldest);
    return undefined;
  }

  async function read(data: unknown): Promise<void> {
    const message = typeof data === 'string' ? data : await inflate(data);
    waiting -= 1;
    if (message !== undefined) onMessage(message);
  }

  return (data) => {
    if (typeof data === 'string' && waiting === 0) {
      onMessage(data);
      return;
    }
    waiting += 1;
    reading = reading.then(() => read(data)).catch(onBroken);
  };
}
