const encoder = new TextEncoder();

/** Whether a string exceeds `maxBytes` in UTF-8. A UTF-16 unit takes one to three bytes, so most strings need no encoding. */
export function isLongerThan(value: string, maxBytes: number): boolean {
  if (value.length > maxBytes) return true;
  return value.length * 3 > maxBytes && encoder.encode(value).length > maxBytes;
}
