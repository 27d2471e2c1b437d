/** `12,345`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** With a fixed number of decimals. */
export function fixed(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
