import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

export interface RequestFault {
  /**
   * `error`: the request fails; `cut`: the connection breaks; `half-open`: it breaks without the server noticing;
   * `silence`: this request and all later ones of the connection get no reply; `delay`: the reply comes late;
   * `crash`: the process dies.
   */
  readonly effect: 'error' | 'cut' | 'half-open' | 'silence' | 'delay' | 'crash';
  /** Whether the server executes the request: never, before the effect, or after it. */
  readonly execution: 'never' | 'before' | 'after';
}

/** How long a delayed reply takes. */
export const delayMs = 25;
/** When the server gets a request that it executes after a silence. */
export const lateMs = 1300;

/** The process whose requests pass the gate. */
export interface GatedProcess<F extends RequestFault = RequestFault> {
  /** Called before each request is sent. */
  takeFault(request: string): Promise<F | undefined>;
  /** Awaited before each reply is delivered. */
  whenRunning(): Promise<void>;
  crash(): void;
}

export interface RedisGate extends AsyncDisposable {
  readonly url: string;
  /** Breaks all connections and, from now on, new ones at once. */
  close(): void;
}

const script = "return redis.error_reply('LOADING Redis is loading the dataset in memory')";
const failingCommand = `*3\r\n$4\r\nEVAL\r\n$${script.length}\r\n${script}\r\n$1\r\n0\r\n`;

/** Opens a TCP proxy between a process and Redis; each request, a chunk of bytes, may have a fault. */
export async function openRedisGate(redisUrl: string, process: GatedProcess): Promise<RedisGate> {
  const target = new URL(redisUrl);
  const clients = new Set<Socket>();
  const halfOpen = new Set<Socket>();
  let isClosed = false;

  const relay = async (client: Socket, redis: Socket): Promise<void> => {
    let beforeReply: (() => Promise<void>) | undefined;
    const deliverReplies = async (): Promise<void> => {
      for await (const reply of redis) {
        await beforeReply?.();
        beforeReply = undefined;
        await process.whenRunning();
        client.write(reply);
      }
    };
    const sendRequests = async (): Promise<void> => {
      for await (const bytes of client) {
        const request = String(bytes);
        const { effect, execution = 'after' } = (await process.takeFault(request)) ?? {};
        const affect = async (): Promise<void> => {
          if (effect === 'half-open') halfOpen.add(redis);
          if (effect === 'half-open' || effect === 'cut') client.destroy();
          if (effect === 'silence') await once(client, 'close');
          if (effect === 'delay') await wait(delayMs);
          if (effect === 'crash') process.crash();
        };
        if (execution === 'before' || effect === 'silence') beforeReply = affect;
        if (effect === 'silence' && execution === 'after') await wait(lateMs);
        // An error for each command of the request.
        if (effect === 'error')
          redis.write(failingCommand.repeat(request.match(/^\*\d+\r$/gmu)?.length ?? 1));
        else if (execution !== 'never') redis.write(bytes);
        if (execution !== 'before') await affect();
      }
    };
    await Promise.all([deliverReplies(), sendRequests()]);
  };

  const server = createServer({ noDelay: true }, (client) => {
    client.on('error', () => undefined);
    if (isClosed) {
      client.destroy();
      return;
    }
    const redis = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    redis.on('error', () => undefined);
    redis.once('close', () => client.destroy());
    clients.add(client);
    client.once('close', () => {
      clients.delete(client);
      if (!halfOpen.has(redis)) redis.destroy();
    });
    // A connection that breaks, and a process that dies, end what is under way.
    relay(client, redis).catch(() => client.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the gate has no port');
  const close = (): void => {
    isClosed = true;
    for (const client of clients) client.destroy();
  };
  return {
    url: Object.assign(new URL(redisUrl), { host: `127.0.0.1:${address.port}` }).href,
    close,
    [Symbol.asyncDispose]: async () => {
      close();
      for (const redis of halfOpen) redis.destroy();
      await once(server.close(), 'close');
    },
  };
}
