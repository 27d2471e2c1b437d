import type { AddressInfo } from 'node:net';

/** What a peer is told, as JSON in `PEER`. */
export interface PeerOptions {
  readonly redisUrl: string;
  readonly stream: string;
  /** Where socket.io's adapter keeps what it broadcasts. */
  readonly adapterStream: string;
}

/** Says where it listens, in a line of JSON. */
export function sayPort(address: AddressInfo | string | null): void {
  if (address === null || typeof address === 'string') throw new Error('it listens on no port');
  process.stdout.write(`${JSON.stringify({ port: address.port })}\n`);
}
