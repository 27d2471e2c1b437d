const encoder = new TextEncoder();

/** Whether a text takes more than `maxBytes` as UTF-8. A UTF-16 unit takes one to three, so most texts need no count. */
export function isLongerThan(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return true;
  return text.length * 3 > maxBytes && encoder.encode(text).length > maxBytes;
}
