/** A service for the tests of `runService`; the first argument selects its behaviour. */
import { z } from 'zod';
import { durationMs, secret, string } from '../src/config.ts';
import { delay } from '../src/retry.ts';
import { runService } from '../src/run-service.ts';
import type { ServiceContext } from '../src/run-service.ts';

const schema = z.object({
  NAME: string(),
  KEY: secret(string()).optional(),
  GRACE_MS: durationMs().default(60_000),
});

type Behaviour = (context: ServiceContext<z.output<typeof schema>>) => Promise<void>;

const behaviours: Readonly<Record<string, Behaviour>> = {
  async 'ends by itself'({ log }) {
    log.info('done');
  },
  async 'stops when it is asked to'({ log, stop }) {
    const stopped = Promise.withResolvers<void>();
    stop.addEventListener('abort', () => stopped.resolve());
    using alive = keepAlive();
    log.info({ alive: alive !== undefined }, 'running');
    await stopped.promise;
    log.info('cleaned up');
  },
  async 'stops in short steps'({ log, stop }) {
    log.info('running');
    await delay(1_000_000, stop).catch(() => undefined);
    for (let step = 0; step < 50; step += 1) await delay(10, new AbortController().signal);
    log.info('cleaned up');
  },
  async 'rejects with the reason of the stop'({ log, stop }) {
    log.info('running');
    await delay(1_000_000, stop);
  },
  async 'rejects with an error caused by the stop'({ log, stop }) {
    log.info('running');
    await delay(1_000_000, stop).catch((cause: unknown) => {
      throw new Error('interrupted', { cause });
    });
  },
  async 'fails while it stops'({ log, stop }) {
    log.info('running');
    await delay(1_000_000, stop).catch(() => undefined);
    throw new Error('flushing failed');
  },
  async 'never stops'({ log }) {
    using alive = keepAlive();
    log.info({ alive: alive !== undefined }, 'running');
    await Promise.withResolvers<void>().promise;
  },
  async 'can never end'({ log }) {
    log.info('running');
    await Promise.withResolvers<void>().promise;
  },
  async fails() {
    throw new Error('no such table', { cause: new Error('cause') });
  },
  async 'throws in a timer'({ log, stop }) {
    log.info('running');
    setTimeout(() => {
      throw new Error('not caught');
    }, 1);
    await delay(1_000_000, stop);
  },
  async 'ignores a rejection'({ log, stop }) {
    log.info('running');
    void Promise.reject(new Error('not handled'));
    await delay(1_000_000, stop);
  },
  async 'logs many lines and ends'({ log }) {
    for (let line = 1; line <= 20_000; line += 1) {
      log.info({ line }, 'line');
    }
  },
};

function keepAlive(): Disposable {
  const timer = setInterval(() => undefined, 1_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

const run = behaviours[process.argv[2] ?? ''];
if (run === undefined) {
  throw new Error(`unknown behaviour: ${process.argv[2]}`);
}
await runService({
  service: 'fixture',
  schema,
  instanceId: ({ NAME }) => NAME,
  graceMs: ({ GRACE_MS }) => GRACE_MS,
  run,
});
