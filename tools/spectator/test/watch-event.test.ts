import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { watchEvent } from '../src/watch-event.ts';

/** The first failure of a spectator whose gateway answers an upgrade with this status, or nothing. */
async function failureOf(status: number | undefined): Promise<string> {
  await using server = createServer();
  server.on('upgrade', (_, socket) => {
    socket.end(status === undefined ? '' : `HTTP/1.1 ${status} Refused\r\nConnection: close\r\n\r\n`);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const failed = Promise.withResolvers<string>();
  using _ = watchEvent({
    directusUrl: 'http://127.0.0.1:1',
    liveUrl: `ws://127.0.0.1:${port}/ws-live`,
    topics: ['event:5f1d6a3e-0b0c-4c53-9d7e-2a61c8f0e5a1'],
    cookie: 'session=1',
    onFailure: failed.resolve,
  });
  return await failed.promise;
}

test('says why there is no connection, and what to do when the gateway refuses programs', async () => {
  expect(await failureOf(403)).toBe(
    'no connection to the gateway: Unexpected server response: 403. It refuses programs, which send no Origin header: add none to its LIVE_ALLOWED_ORIGINS',
  );
  expect(await failureOf(503)).toBe('no connection to the gateway: Unexpected server response: 503');
  expect(await failureOf(undefined)).toBe('no connection to the gateway: socket hang up');
});
