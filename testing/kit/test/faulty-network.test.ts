import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../src/eventually.ts';
import { startFaultyNetwork } from '../src/faulty-network.ts';
import { findFreePort } from '../src/free-port.ts';

/** A peer that keeps what it receives and how its connection ended. */
class Peer {
  readonly socket: Socket;
  received = '';
  ending: 'open' | 'ended' | 'reset' = 'open';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8').on('data', (text: string) => {
      this.received += text;
    });
    socket.on('end', () => {
      this.ending = 'ended';
    });
    socket.on('error', () => {
      this.ending = 'reset';
    });
  }
}

/** A server behind a faulty network; `dial` gives both ends of a new connection. */
async function openFixture() {
  const accepted: Peer[] = [];
  const port = await findFreePort();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(new Peer(socket));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const network = await startFaultyNetwork({ target: { host: '127.0.0.1', port } });
  const clients: Peer[] = [];
  return {
    network,
    dial: async (): Promise<readonly [client: Peer, server: Peer]> => {
      const client = new Peer(connect({ port: network.port, host: '127.0.0.1', allowHalfOpen: true }));
      clients.push(client);
      await once(client.socket, 'connect');
      const number = clients.length;
      return [client, await eventually(() => accepted[number - 1])];
    },
    [Symbol.asyncDispose]: async () => {
      await network[Symbol.asyncDispose]();
      for (const peer of [...clients, ...accepted]) peer.socket.destroy();
      server.close();
    },
  };
}

test('a healthy network passes bytes and ends both ways, with back-pressure', async () => {
  await using fixture = await openFixture();
  const [client, server] = await fixture.dial();
  client.socket.write('ping');
  await eventually(() => server.received === 'ping');
  const large = 'x'.repeat(20_000_000);
  server.socket.pause();
  client.socket.end(large);
  await expect(eventually(() => client.socket.writableLength === 0, { timeoutMs: 200 })).rejects.toThrow(
    'false',
  );
  server.socket.resume();
  await eventually(() => server.received.length === large.length + 4 && server.ending === 'ended');
  server.socket.end('answer after the end');
  await eventually(() => client.received === 'answer after the end' && client.ending === 'ended');
});

test('delays are per direction, keep the order and apply to new connections', async () => {
  await using fixture = await openFixture();
  const [client, server] = await fixture.dial();
  fixture.network.delay(500, 'toServer');
  client.socket.write('late ');
  server.socket.write('prompt');
  await eventually(() => client.received === 'prompt');
  expect(server.received).toBe('');
  client.socket.write('later');
  await fixture.network.heal();
  client.socket.write(' last');
  await eventually(() => server.received === 'late later last');

  fixture.network.delay(500, 'toServer');
  const [newClient, newServer] = await fixture.dial();
  newClient.socket.write('late');
  newServer.socket.write('prompt');
  await eventually(() => newClient.received === 'prompt');
  expect(newServer.received).toBe('');
  await eventually(() => newServer.received === 'late');
});

test('a cut resets open connections on both sides; new ones work', async () => {
  await using fixture = await openFixture();
  const [client, server] = await fixture.dial();
  fixture.network.cut();
  await eventually(() => client.ending === 'reset' && server.ending === 'reset');
  const [again, againServer] = await fixture.dial();
  again.socket.write('hello');
  expect(await eventually(() => againServer.received === 'hello')).toBe(true);
});

test('swallowed bytes vanish while connections stay open; healing resets them', async () => {
  await using fixture = await openFixture();
  const [client, server] = await fixture.dial();
  fixture.network.swallow();
  client.socket.write('lost');
  server.socket.write('lost too');
  const [later, laterServer] = await fixture.dial();
  later.socket.write('lost as well');
  await expect(
    eventually(() => [client, server, later, laterServer].some((peer) => peer.received !== ''), {
      timeoutMs: 150,
    }),
  ).rejects.toThrow('last value: false');
  expect([client, server, later, laterServer].map((peer) => peer.ending)).toEqual([
    'open',
    'open',
    'open',
    'open',
  ]);
  await fixture.network.heal();
  await eventually(() => client.ending === 'reset' && server.ending === 'reset');
  const [again, againServer] = await fixture.dial();
  again.socket.write('hello');
  await eventually(() => againServer.received === 'hello');
});

test('one direction alone can be swallowed', async () => {
  await using fixture = await openFixture();
  const [client, server] = await fixture.dial();
  fixture.network.swallow('toClient');
  client.socket.write('received');
  server.socket.write('lost');
  await eventually(() => server.received === 'received');
  expect(client.received).toBe('');
});

test('a connection that lost nothing continues after healing', async () => {
  await using fixture = await openFixture();
  const [client, server] = await fixture.dial();
  fixture.network.swallow();
  await fixture.network.heal();
  client.socket.write('on');
  expect(await eventually(() => server.received === 'on')).toBe(true);
});

test('half-open: the server keeps its end and does not notice that the client is gone', async () => {
  await using fixture = await openFixture();
  const [client, server] = await fixture.dial();
  fixture.network.halfOpen();
  client.socket.destroy();
  server.socket.write('into the void');
  const [again, againServer] = await fixture.dial();
  again.socket.write('hello');
  await eventually(() => againServer.received === 'hello');
  expect(server.ending).toBe('open');
  expect(server.socket.writable).toBe(true);
  await fixture.network.heal();
  await eventually(() => server.ending === 'reset');
});

test('refused: new connections fail and open ones continue until it heals', async () => {
  await using fixture = await openFixture();
  const [client, server] = await fixture.dial();
  await fixture.network.refuse();
  await expect(fixture.dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  client.socket.write('still here');
  await eventually(() => server.received === 'still here');
  await fixture.network.heal();
  const socket = connect({ port: fixture.network.port, host: '127.0.0.1' });
  await once(socket, 'connect');
  socket.destroy();
});

test('a URL is rewritten to the port of the network', async () => {
  await using network = await startFaultyNetwork({ target: 'postgres://user:word@127.0.0.1:5432/live' });
  expect(network.through('postgres://user:word@127.0.0.1:5432/live?a=1')).toBe(
    `postgres://user:word@127.0.0.1:${network.port}/live?a=1`,
  );
});

test('an unreachable server resets the client', async () => {
  await using network = await startFaultyNetwork({
    target: { host: '127.0.0.1', port: await findFreePort() },
  });
  const client = new Peer(connect({ port: network.port, host: '127.0.0.1' }));
  expect(await eventually(() => client.ending === 'reset')).toBe(true);
});
