import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export interface SplitPipelines extends AsyncDisposable {
  readonly url: string;
}

/** Opens a TCP proxy to Redis that calls `between` after each command of a pipeline but the last has been answered. */
export async function splitPipelines(
  redisUrl: string,
  between: () => Promise<void>,
): Promise<SplitPipelines> {
  const target = new URL(redisUrl);
  const server = createServer({ noDelay: true }, (client) => {
    const redis = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    redis.pipe(client);
    const forward = async (): Promise<void> => {
      for await (const bytes of client) {
        const commands = String(bytes).split(/(?=\*\d+\r\n\$)/u);
        for (const [n, command] of commands.entries()) {
          redis.write(command);
          if (n === commands.length - 1) continue;
          await once(redis, 'data');
          await between();
        }
      }
    };
    for (const socket of [client, redis]) socket.on('error', () => undefined);
    forward().then(
      () => redis.destroy(),
      () => redis.destroy(),
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    url: Object.assign(new URL(redisUrl), { host: `127.0.0.1:${address.port}` }).href,
    [Symbol.asyncDispose]: async () => {
      await once(server.close(), 'close');
    },
  };
}
