import { expect, test } from 'vitest';
import { readAhead } from '../../../src/domain/evaluator/read-ahead.ts';

test('the next item is read while one is used, and a failure comes after those before it', async () => {
  const log: string[] = [];
  async function* pages(): AsyncGenerator<number, void> {
    for (const page of [1, 2]) {
      log.push(`read ${page}`);
      yield page;
    }
    throw new Error('no third page');
  }
  const use = async (): Promise<void> => {
    for await (const page of readAhead(pages())) {
      await Promise.resolve();
      log.push(`used ${page}`);
    }
  };
  await expect(use()).rejects.toThrow('no third page');
  expect(log).toEqual(['read 1', 'read 2', 'used 1', 'used 2']);
});

test('whoever stops early ends the reading, whatever comes of the item that was being read', async () => {
  let isEnded = false;
  async function* pages(): AsyncGenerator<number, void> {
    try {
      yield 1;
      throw new Error('lost');
    } finally {
      isEnded = true;
    }
  }
  for await (const page of readAhead(pages())) {
    expect(page).toBe(1);
    break;
  }
  expect(isEnded).toBe(true);
});
