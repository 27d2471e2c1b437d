// Buffer exists only in Node. btoa and atob need a string with one character per byte, and atob throws and accepts
// whitespace and missing padding.
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const padding = '=';
const notInAlphabet = 0xff;
const sextets = new Uint8Array(128).fill(notInAlphabet);
for (let value = 0; value < alphabet.length; value += 1) sextets[alphabet.charCodeAt(value)] = value;

/** Standard alphabet, with padding (RFC 4648, section 4). */
export function encodeBase64(bytes: Uint8Array): string {
  let encoded = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    encoded += alphabet.charAt(group >> 18);
    encoded += alphabet.charAt((group >> 12) & 63);
    encoded += left > 1 ? alphabet.charAt((group >> 6) & 63) : padding;
    encoded += left > 2 ? alphabet.charAt(group & 63) : padding;
  }
  return encoded;
}

/** Whether `encodeBase64` would return exactly this string. */
export function isBase64(encoded: string): boolean {
  if (encoded.length % 4 !== 0) return false;
  const padded = paddingLength(encoded);
  let sextet = 0;
  for (let at = 0; at < encoded.length - padded; at += 1) {
    sextet = sextets[encoded.charCodeAt(at)] ?? notInAlphabet;
    if (sextet === notInAlphabet) return false;
  }
  // Unused bits (2 before =, 4 before ==) must be 0, or two strings would encode the same bytes.
  return (sextet & ((1 << (2 * padded)) - 1)) === 0;
}

/** Decodes a string for which `isBase64` is true. */
export function decodeBase64(encoded: string): Uint8Array {
  const padded = paddingLength(encoded);
  const bytes = new Uint8Array((encoded.length / 4) * 3 - padded);
  let byteCount = 0;
  let bits = 0;
  let bitCount = 0;
  for (let at = 0; at < encoded.length - padded; at += 1) {
    bits = ((bits << 6) | (sextets[encoded.charCodeAt(at)] ?? 0)) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[byteCount] = bits >> bitCount;
      byteCount += 1;
    }
  }
  return bytes;
}

function paddingLength(encoded: string): 0 | 1 | 2 {
  if (!encoded.endsWith(padding)) return 0;
  return encoded.endsWith('==') ? 2 : 1;
}
