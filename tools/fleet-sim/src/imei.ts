/**
 * An IMEI for vehicle number `index` of a fleet. It starts with 00, which is
 * reserved for test equipment (3GPP TS 23.003, GSMA TS.06): no real tracker has
 * it. The last digit is the Luhn check digit that some software verifies.
 */
export function testImei(fleet: number, index: number): string {
  const digits = `00${String(fleet % 1_000_000).padStart(6, '0')}${String(index % 1_000_000).padStart(6, '0')}`;
  const sum = digits.split('').reduce((total, digit, place) => {
    const weighted = Number(digit) * (place % 2 === 0 ? 1 : 2);
    return total + (weighted > 9 ? weighted - 9 : weighted);
  }, 0);
  return `${digits}${(10 - (sum % 10)) % 10}`;
}
