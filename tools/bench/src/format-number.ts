/** `12,345`, `12.3` or `1.23`; `?` for NaN. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return '?';
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}
