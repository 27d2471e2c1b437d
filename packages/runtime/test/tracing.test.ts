import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from '@app/test-kit/eventually';
import { startTraceReceiver } from '@app/test-kit/trace-receiver';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import type { SpanOptions, TraceStep } from '../src/tracing.ts';
import { startTracing } from '../src/tracing.ts';

const words: SpanOptions = { name: 'a step', kind: 'consumer', attributes: { count: 3, stream: 's' } };
const link = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };

async function start(endpoint: string, sampleRatio = 1) {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => lines.push(line) });
  const tracing = await startTracing({ endpoint, sampleRatio, service: 'a-service', instanceId: 'a-1', log });
  onTestFinished(() => tracing[Symbol.asyncDispose]());
  if (tracing.trace === undefined) throw new Error('nothing is traced');
  const trace: TraceStep = tracing.trace;
  return { trace, tracing, logged: () => lines.join('') };
}

test('a step comes to the collector with its name, its time and its links, and what it gave comes back', async () => {
  await using receiver = await startTraceReceiver();
  const { trace, tracing } = await start(`${receiver.url}/`);
  expect(await trace({ ...words, links: [link] }, () => Promise.resolve(42))).toBe(42);
  await tracing[Symbol.asyncDispose]();
  expect(receiver.spans).toEqual([
    {
      service: 'a-service',
      name: 'a step',
      kind: 5, // CONSUMER
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/u),
      durationMs: expect.toSatisfy((ms: number) => ms >= 0),
      attributes: new Map<string, string | number>([
        ['count', 3],
        ['stream', 's'],
      ]),
      links: [link],
      isFailed: false,
      message: undefined,
    },
  ]);
});

test('a step that fails fails as it did, and is recorded with the class of its error alone', async () => {
  await using receiver = await startTraceReceiver();
  const { trace, tracing } = await start(receiver.url);
  const error = new RangeError('at 46.5, 7.25');
  await expect(trace(words, () => Promise.reject(error))).rejects.toBe(error);
  await tracing[Symbol.asyncDispose]();
  expect(receiver.spans).toMatchObject([{ isFailed: true, message: 'RangeError' }]);
});

test('of steps without links the wanted share is recorded, of those with links all, of many links so many', async () => {
  await using receiver = await startTraceReceiver();
  const { trace, tracing } = await start(receiver.url, 0);
  for (let n = 0; n < 50; n += 1) await trace(words, () => Promise.resolve());
  const links = Array.from({ length: 1000 }, () => link);
  await trace({ ...words, links }, () => Promise.resolve());
  await tracing[Symbol.asyncDispose]();
  expect(receiver.spans.map((span) => span.links.length)).toEqual([64]);
});

test('a collector that refuses is told of once, and costs no step', async () => {
  await using receiver = await startTraceReceiver();
  receiver.answer(400);
  const { trace, tracing, logged } = await start(receiver.url);
  await trace(words, () => Promise.resolve());
  await eventually(() => receiver.refused() === 1 || undefined);
  await trace(words, () => Promise.resolve());
  await eventually(() => receiver.refused() === 2 || undefined);
  receiver.answer(200);
  await trace(words, () => Promise.resolve());
  await eventually(() => logged().includes('takes them again') || undefined);
  expect(logged().split('does not take them')).toHaveLength(2);
  await tracing[Symbol.asyncDispose]();
});

test('a collector that is not there keeps nobody from stopping', async () => {
  const { trace, tracing } = await start('http://127.0.0.1:9');
  expect(await trace(words, () => Promise.resolve('done'))).toBe('done');
  const stoppedAtMs = performance.now();
  await tracing[Symbol.asyncDispose]();
  // Two seconds are allowed; a busy machine may take a few more.
  expect(performance.now() - stoppedAtMs).toBeLessThan(10_000);
});

test('without a collector nothing of OpenTelemetry is loaded', async () => {
  const program = `
    import { registerHooks } from 'node:module';
    const seen = [];
    registerHooks({ resolve: (name, context, next) => (seen.push(name), next(name, context)) });
    const { startTracing } = await import('../src/tracing.ts');
    const off = await startTracing({ endpoint: undefined });
    const packagesOff = seen.filter((name) => name.startsWith('@opentelemetry/')).length;
    await startTracing({ endpoint: 'http://127.0.0.1:9', service: 's', instanceId: 'i' });
    const packagesOn = seen.filter((name) => name.startsWith('@opentelemetry/')).length;
    console.log(JSON.stringify({ traces: off.trace !== undefined, packagesOff, isLoadedOn: packagesOn > 0 }));
    process.exit();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: fileURLToPath(new URL('../src/', import.meta.url)),
  });
  expect(JSON.parse(stdout)).toEqual({ traces: false, packagesOff: 0, isLoadedOn: true });
});
