// The first version that one writes with `ws`: each position is serialised once and sent to everybody as it arrives.
import { Redis } from 'ioredis';
import { WebSocketServer } from 'ws';
import { type PeerOptions, printPort } from './peer-options.ts';
import { readPositions } from './read-positions.ts';

const { redisUrl, stream }: PeerOptions = JSON.parse(process.env['PEER'] ?? '');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('listening', () => printPort(server.address()));
for await (const position of readPositions(new Redis(redisUrl), stream)) {
  const text = JSON.stringify(position);
  for (const client of server.clients) client.send(text);
}
