import { request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface ContainerEngine {
  /** In the syntax of `DOCKER_HOST`. */
  readonly dockerHost: string;
  /** On this machine, so that a published port can be bound to 127.0.0.1. */
  readonly isLocal: boolean;
}

const pingTimeoutMs = 1000;

/**
 * The container engine at `DOCKER_HOST`, else the first that answers on the usual sockets. The ping has a timeout: a
 * client library would wait forever on a socket that accepts and does not answer.
 */
export async function findContainerEngine(
  env: NodeJS.ProcessEnv = process.env,
): Promise<ContainerEngine | undefined> {
  const named = env['DOCKER_HOST'];
  const runtimeFolder = env['XDG_RUNTIME_DIR'];
  const sockets = [
    '/var/run/docker.sock',
    ...(runtimeFolder === undefined ? [] : [join(runtimeFolder, 'docker.sock')]),
    join(homedir(), '.docker/run/docker.sock'),
    join(homedir(), '.docker/desktop/docker.sock'),
  ];
  const hosts = named === undefined || named === '' ? sockets.map((path) => `unix://${path}`) : [named];
  for (const dockerHost of hosts) {
    if (await answersPing(dockerHost)) return { dockerHost, isLocal: dockerHost.startsWith('unix:') };
  }
  return undefined;
}

async function answersPing(dockerHost: string): Promise<boolean> {
  const { protocol, hostname, port, pathname } = new URL(dockerHost);
  if (protocol !== 'unix:' && protocol !== 'tcp:' && protocol !== 'http:') return false;
  const address =
    protocol === 'unix:' ? { socketPath: pathname } : { hostname, port: port === '' ? 2375 : port };
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const ping = request(
    { ...address, path: '/_ping', signal: AbortSignal.timeout(pingTimeoutMs) },
    (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    },
  );
  ping.once('error', () => {
    resolve(false);
  });
  ping.end();
  return await promise;
}
