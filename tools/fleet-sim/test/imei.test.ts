import { expect, test } from 'vitest';
import { testImei } from '../src/imei.ts';

test('an IMEI has 15 digits, the test prefix and a valid check digit', () => {
  // 004999010640000 is a widely used test IMEI.
  expect(testImei(499_901, 64_000)).toBe('004999010640000');
  const imeis = Array.from({ length: 1_000 }, (_, index) => testImei(42, index));
  expect(new Set(imeis).size).toBe(1_000);
  for (const imei of imeis) expect(imei).toMatch(/^00\d{13}$/);
});
