import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { findFreePort } from '@app/test-kit/free-port';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openFixture } from '../support/open-fixture.ts';
import type { Fixture } from '../support/open-fixture.ts';
import { selfSignedCertificate, selfSignedKey } from '../support/self-signed-certificate.ts';
import { tryConnect } from '../support/viewer.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await openFixture();
});

afterAll(() => fixture[Symbol.asyncDispose]());

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A proxy that refuses every tunnel. */
function openRefusingProxy(): Promise<number> {
  const proxy = createServer();
  proxy.on('connect', (_request, socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
  return portOf(proxy);
}

const faults = {
  'a port where nothing listens': async () => ({
    directusUrl: `http://127.0.0.1:${await findFreePort()}`,
    cause: /^ECONNREFUSED$/u,
  }),
  'a name that does not exist': () => ({
    directusUrl: 'http://directus.invalid',
    cause: /^(?:ENOTFOUND|EAI_AGAIN)$/u,
  }),
  'a certificate of an unknown authority': async () => {
    const server = createTlsServer({ key: selfSignedKey, cert: selfSignedCertificate });
    return {
      directusUrl: `https://localhost:${await portOf(server)}`,
      cause: /^DEPTH_ZERO_SELF_SIGNED_CERT$/u,
    };
  },
  'a proxy that refuses': async () => ({
    directusUrl: 'http://directus.example.org',
    cause: /^HTTP 407 from the proxy$/u,
    env: { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: `http://127.0.0.1:${await openRefusingProxy()}` },
  }),
  'a server that is not Directus': async () => {
    const server = createServer((_request, response) => response.writeHead(404).end('<html>'));
    return { directusUrl: `http://127.0.0.1:${await portOf(server)}`, cause: /^HTTP 404 without JSON$/u };
  },
};

test.each(Object.entries(faults))(
  'behind %s the cause is logged once, without the session',
  async (_fault, open) => {
    const { cause, ...options } = await open();
    const gateway = await fixture.start(options);
    const { session } = fixture.addViewer();
    for (let attempt = 0; attempt < 3; attempt += 1)
      expect(await tryConnect(gateway.wsUrl, { session })).toMatchObject({ status: 503 });
    const lines = gateway.log.filter(({ msg }) => String(msg).startsWith('Directus request failed'));
    expect(lines).toEqual([expect.objectContaining({ level: 'warn', cause: expect.stringMatching(cause) })]);
    expect(gateway.output()).not.toContain(session);
    await gateway.kill();
  },
);
