/** `12,345`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** With so many digits after the point, and the same in every row of a table. */
export function fixed(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
