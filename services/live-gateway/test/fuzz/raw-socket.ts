import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** What the server sent within the limit, and whether it closed the connection. */
interface RawResponse {
  readonly received: Buffer;
  readonly isClosed: boolean;
}

/** Sends bytes over a new TCP connection; waits until `isComplete`, for the close, or for the limit. */
export async function sendRaw(
  port: number,
  options: {
    readonly bytes: Buffer;
    readonly limitMs: number;
    /** Sent after `afterMs` if the response is not complete by then. */
    readonly padding?: { readonly afterMs: number; readonly bytes: string };
    /** Called with everything received so far; may send more. */
    readonly isComplete: (received: Buffer, socket: Socket) => boolean;
  },
): Promise<RawResponse> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let received = Buffer.alloc(0);
  socket.on('data', (data) => {
    received = Buffer.concat([received, data]);
    if (options.isComplete(received, socket)) resolve(false);
  });
  // A reset is also a close, which the close event reports.
  socket.on('error', () => undefined);
  socket.once('close', () => resolve(true));
  const timer = setTimeout(() => resolve(false), options.limitMs);
  const { padding } = options;
  const paddingTimer = padding && setTimeout(() => socket.write(padding.bytes), padding.afterMs);
  socket.write(options.bytes);
  const isClosed = await promise;
  clearTimeout(timer);
  clearTimeout(paddingTimer);
  socket.destroy();
  return { received, isClosed };
}
