import type { AddressInfo } from 'node:net';

/** Passed to a peer as JSON in `PEER`. */
export interface PeerOptions {
  readonly redisUrl: string;
  readonly stream: string;
  /** The stream of socket.io's adapter. */
  readonly adapterStream: string;
}

/** Prints the port as a line of JSON. */
export function printPort(address: AddressInfo | string | null): void {
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  process.stdout.write(`${JSON.stringify({ port: address.port })}\n`);
}
