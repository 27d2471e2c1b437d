import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { OrderedQueue } from '../../src/pipeline/ordered-queue.ts';

/** A queue whose tasks end when the test says so. */
function start(capacity: number) {
  const queue = new OrderedQueue(capacity);
  const events: string[] = [];
  const push = (name: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const pushed = queue.push(
      async () => {
        events.push(`start ${name}`);
        await promise;
      },
      async () => {
        events.push(`complete ${name}`);
      },
    );
    return { resolve, reject, pushed };
  };
  return { queue, events, push };
}

test('tasks overlap and complete in the order in which they were pushed', async () => {
  const { queue, events, push } = start(2);
  const first = push('1');
  const second = push('2');
  second.resolve();
  await yieldToEventLoop();
  expect(events).toEqual(['start 1', 'start 2']);
  first.resolve();
  await queue.drain();
  expect(events).toEqual(['start 1', 'start 2', 'complete 1', 'complete 2']);
});

test('a push beyond the capacity waits until the oldest task has completed', async () => {
  const { queue, events, push } = start(1);
  const first = push('1');
  const second = push('2');
  await yieldToEventLoop();
  expect(events).toEqual(['start 1']);
  first.resolve();
  await second.pushed;
  expect(events).toEqual(['start 1', 'complete 1', 'start 2']);
  second.resolve();
  await queue.drain();
});

test('after a failure no later task completes, none is started, and draining rejects with it', async () => {
  const { queue, events, push } = start(3);
  const first = push('1');
  const second = push('2');
  const third = push('3');
  second.reject(new Error('broken'));
  third.resolve();
  await yieldToEventLoop();
  expect(queue.failed.reason).toEqual(new Error('broken'));
  const drained = queue.drain();
  first.resolve();
  await expect(drained).rejects.toThrow('broken');
  await push('4').pushed;
  expect(events).toEqual(['start 1', 'start 2', 'start 3']);
});

test('a completion that fails ends the queue', async () => {
  const queue = new OrderedQueue(2);
  await queue.push(
    async () => 1,
    async () => {
      throw new Error('no');
    },
  );
  await expect(queue.drain()).rejects.toThrow('no');
});
