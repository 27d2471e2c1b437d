/**
 * The IMEI of vehicle `index` of a fleet. The prefix 00 is reserved for test equipment (3GPP TS 23.003, GSMA TS.06); the
 * last digit is the Luhn check digit.
 */
export function testImei(fleet: number, index: number): string {
  const digits = `00${String(fleet % 1_000_000).padStart(6, '0')}${String(index % 1_000_000).padStart(6, '0')}`;
  const sum = digits.split('').reduce((total, digit, at) => {
    const weighted = Number(digit) * (at % 2 === 0 ? 1 : 2);
    return total + (weighted > 9 ? weighted - 9 : weighted);
  }, 0);
  return `${digits}${(10 - (sum % 10)) % 10}`;
}
