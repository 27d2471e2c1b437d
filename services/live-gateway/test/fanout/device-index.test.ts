import { expect, test } from 'vitest';
import { DeviceIndex } from '../../src/fanout/device-index.ts';
import type { HeldFix } from '../../src/latest/latest-fixes.ts';

function hold(): HeldFix {
  return { fix: undefined, faultyFixAtMs: undefined, isHydrated: true };
}

test('the hash depends on the current devices only, and a freed index is reused', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((imei) => ({ id: `id ${imei}`, imei }));
  if (a === undefined || b === undefined || c === undefined) throw new Error('no devices');
  const devices = new DeviceIndex([a, b], hold);
  const { hash } = devices;
  const freed: number[] = [];
  expect(devices.change({ added: [c], removed: [a] }, (index) => freed.push(index))).toEqual(freed);
  expect(devices.hash).not.toBe(hash);
  expect(devices.hash).toBe(new DeviceIndex([c, b], hold).hash);
  devices.change({ added: [a], removed: [c] }, () => undefined);
  expect(devices.hash).toBe(hash);
  expect(devices.size).toBe(2);
});
