import { expect, test } from 'vitest';
import { readIgc } from '../src/igc.ts';

const file = [
  'AXXX001',
  'HFDTEDATE:311225,01',
  'HFPLTPILOTINCHARGE:Somebody Real',
  'B2359594730000N01015000EA0150001510',
  'B2359594730000N01015000EA0150001510extension',
  'B0000013330000S07015000WV-012000000',
  'LXXXsomebody was here',
  'B0000003330000S07015000WA0050000510',
].join('\r\n');

test('fixes keep the order of the file, across midnight and with repeated times', () => {
  const [first, again, afterMidnight, back, ...rest] = readIgc(file);
  const lateMs = ((23 * 60 + 59) * 60 + 59) * 1000;
  expect(first).toEqual({ timeMs: lateMs, latitude: 47.5, longitude: 10.25, altitudeM: 1510, isValid: true });
  expect(again).toEqual(first);
  expect(afterMidnight).toEqual({
    timeMs: lateMs + 2_000,
    latitude: -33.5,
    longitude: -70.25,
    altitudeM: 0,
    isValid: false,
  });
  expect(back?.timeMs).toBe(lateMs + 1_000);
  expect(rest).toEqual([]);
});

test('the pilot is not read', () => {
  expect(JSON.stringify(readIgc(file))).not.toMatch(/somebody/i);
});
