/**
 * The peers. `socket.io` is what a team that knows it would run: its Redis streams adapter, a room per event, a message
 * per position. `ws` is the first version that one writes: each position is serialised once and sent to everybody.
 */
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';

/** Passed as JSON in `PEER`. */
export interface PeerOptions {
  readonly peer: 'socket.io' | 'ws';
  readonly redisUrl: string;
  readonly stream: string;
  /** The stream of socket.io's adapter. */
  readonly adapterStream: string;
}

const { peer, redisUrl, stream, adapterStream }: PeerOptions = JSON.parse(process.env['PEER'] ?? '');

const http = createServer();
const send = peer === 'ws' ? serveWs() : serveSocketIo();
http.listen(0, '127.0.0.1', () => {
  const address = http.address();
  if (typeof address === 'object') process.stdout.write(`${JSON.stringify({ port: address?.port })}\n`);
});

const redis = new Redis(redisUrl);
for (let lastId = '$'; ;) {
  const reply = await redis.xread('COUNT', 500, 'BLOCK', 1000, 'STREAMS', stream, lastId);
  for (const [id, fields] of reply?.[0]?.[1] ?? []) {
    lastId = id;
    const payload = JSON.parse(fields[fields.indexOf('payload') + 1] ?? '');
    send({
      deviceId: payload.device_id,
      lon: payload.longitude,
      lat: payload.latitude,
      ts: Date.parse(payload.timestamp),
      speed: payload.speed,
      course: payload.angle,
      altitude: payload.altitude,
    });
  }
}

function serveSocketIo(): (position: object) => void {
  const io = new Server(http, {
    transports: ['websocket'],
    perMessageDeflate: false,
    adapter: createAdapter(new Redis(redisUrl), { streamName: adapterStream, maxLen: 10_000 }),
  });
  io.on('connection', (socket) => void socket.join('event'));
  return (position) => io.to('event').emit('position', position);
}

function serveWs(): (position: object) => void {
  const server = new WebSocketServer({ server: http, perMessageDeflate: false });
  return (position) => {
    const message = JSON.stringify(position);
    for (const client of server.clients) client.send(message);
  };
}
