// What a team that knows socket.io would run: its Redis streams adapter, a room per event, a message per position.
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { type PeerOptions, printPort } from './peer-options.ts';
import { readPositions } from './read-positions.ts';

const { redisUrl, stream, adapterStream }: PeerOptions = JSON.parse(process.env['PEER'] ?? '');

const http = createServer();
const io = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  adapter: createAdapter(new Redis(redisUrl), { streamName: adapterStream, maxLen: 10_000 }),
});
io.on('connection', (socket) => void socket.join('event'));
http.listen(0, '127.0.0.1', () => printPort(http.address()));
for await (const position of readPositions(new Redis(redisUrl), stream))
  io.to('event').emit('position', position);
