// What is written first with the library `ws`: each position is made a text once, and is sent to everybody as it comes.
import { Redis } from 'ioredis';
import { WebSocketServer } from 'ws';
import { type PeerOptions, sayPort } from './peer-options.ts';
import { readPositions } from './read-positions.ts';

const { redisUrl, stream }: PeerOptions = JSON.parse(process.env['PEER'] ?? '');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('listening', () => sayPort(server.address()));
for await (const position of readPositions(new Redis(redisUrl), stream)) {
  const text = JSON.stringify(position);
  for (const client of server.clients) client.send(text);
}
