import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** What came of it: some bytes, the end, or nothing within the limit. */
export interface Outcome {
  readonly answer: Buffer;
  readonly isClosed: boolean;
}

/**
 * Sends bytes over a TCP connection of its own and waits until `isEnough` is true of what came back, for the end, or
 * for the limit.
 */
export async function sendRaw(
  port: number,
  options: {
    readonly bytes: Buffer;
    readonly limitMs: number;
    /** Sent after `afterMs` if there was not enough by then. */
    readonly ending?: { readonly afterMs: number; readonly bytes: string };
    /** Called at each arrival; may send more. */
    readonly isEnough: (answer: Buffer, socket: Socket) => boolean;
  },
): Promise<Outcome> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let answer = Buffer.alloc(0);
  socket.on('data', (data) => {
    answer = Buffer.concat([answer, data]);
    if (options.isEnough(answer, socket)) resolve(false);
  });
  // Reset or ended: closed either way, and the close event says so.
  socket.on('error', () => undefined);
  socket.once('close', () => resolve(true));
  const timer = setTimeout(() => resolve(false), options.limitMs);
  const { ending } = options;
  const endingTimer = ending && setTimeout(() => socket.write(ending.bytes), ending.afterMs);
  socket.write(options.bytes);
  const isClosed = await promise;
  clearTimeout(timer);
  clearTimeout(endingTimer);
  socket.destroy();
  return { answer, isClosed };
}
