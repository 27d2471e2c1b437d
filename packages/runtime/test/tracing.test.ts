import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from '@app/test-kit/eventually';
import { startTraceReceiver } from '@app/test-kit/trace-receiver';
import { expect, onTestFinished, test } from 'vitest';
import { captureLog } from './capture-log.ts';
import type { SpanOptions, TraceStep } from '../src/tracing.ts';
import { startTracing } from '../src/tracing.ts';

const span: SpanOptions = { name: 'a step', kind: 'consumer', attributes: { count: 3, stream: 's' } };
const link = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };

async function start(endpoint: string, sampleRatio = 1) {
  const { log, messages } = captureLog();
  const tracing = await startTracing({ endpoint, sampleRatio, service: 'a-service', instanceId: 'a-1', log });
  onTestFinished(() => tracing[Symbol.asyncDispose]());
  if (tracing.trace === undefined) throw new Error('tracing is off');
  const trace: TraceStep = tracing.trace;
  return { trace, tracing, messages };
}

test('a span is exported with name, duration and links, and the result of the step is returned', async () => {
  await using receiver = await startTraceReceiver();
  const { trace, tracing } = await start(`${receiver.url}/`);
  expect(await trace({ ...span, links: [link] }, () => Promise.resolve(42))).toBe(42);
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

test('a failed step rejects with its error, and the span has only the class of the error', async () => {
  await using receiver = await startTraceReceiver();
  const { trace, tracing } = await start(receiver.url);
  const error = new RangeError('at 46.5, 7.25');
  await expect(trace(span, () => Promise.reject(error))).rejects.toBe(error);
  await tracing[Symbol.asyncDispose]();
  expect(receiver.spans).toMatchObject([{ isFailed: true, message: 'RangeError' }]);
});

test('steps without links are sampled, steps with links always recorded, and links limited', async () => {
  await using receiver = await startTraceReceiver();
  const { trace, tracing } = await start(receiver.url, 0);
  for (let n = 0; n < 50; n += 1) await trace(span, () => Promise.resolve());
  const links = Array.from({ length: 1000 }, () => link);
  await trace({ ...span, links }, () => Promise.resolve());
  await tracing[Symbol.asyncDispose]();
  expect(receiver.spans.map(({ links: sent }) => sent.length)).toEqual([64]);
});

test('export failures are logged once and do not affect steps', async () => {
  await using receiver = await startTraceReceiver();
  receiver.answer(400);
  const { trace, tracing, messages } = await start(receiver.url);
  await trace(span, () => Promise.resolve());
  await eventually(() => receiver.refused() === 1);
  await trace(span, () => Promise.resolve());
  await eventually(() => receiver.refused() === 2);
  receiver.answer(200);
  await trace(span, () => Promise.resolve());
  await eventually(() => messages().includes('traces: export succeeded again'));
  expect(messages()).toEqual(['traces: export failed; spans dropped', 'traces: export succeeded again']);
  await tracing[Symbol.asyncDispose]();
});

test('disposing does not wait for an unreachable collector', async () => {
  const { trace, tracing } = await start('http://127.0.0.1:9');
  expect(await trace(span, () => Promise.resolve('done'))).toBe('done');
  await tracing[Symbol.asyncDispose]();
});

test('without a collector nothing of OpenTelemetry is loaded', async () => {
  const program = `
    import { registerHooks } from 'node:module';
    const imports = [];
    registerHooks({ resolve: (name, context, next) => (imports.push(name), next(name, context)) });
    const { startTracing } = await import('../src/tracing.ts');
    const off = await startTracing({ endpoint: undefined });
    const packagesOff = imports.filter((name) => name.startsWith('@opentelemetry/')).length;
    await startTracing({ endpoint: 'http://127.0.0.1:9', service: 's', instanceId: 'i' });
    const packagesOn = imports.filter((name) => name.startsWith('@opentelemetry/')).length;
    console.log(JSON.stringify({ traces: off.trace !== undefined, packagesOff, isLoadedOn: packagesOn > 0 }));
    process.exit();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: fileURLToPath(new URL('../src/', import.meta.url)),
  });
  expect(JSON.parse(stdout)).toEqual({ traces: false, packagesOff: 0, isLoadedOn: true });
});
