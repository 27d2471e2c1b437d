// Own base64: Buffer is Node's alone; btoa and atob go through a text of one character per byte, and atob throws and
// takes whitespace and missing padding.
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const padding = '=';
const notInAlphabet = 0xff;
const sextets = new Uint8Array(128).fill(notInAlphabet);
for (let value = 0; value < alphabet.length; value += 1) sextets[alphabet.charCodeAt(value)] = value;

/** Standard alphabet, with padding (RFC 4648, section 4). */
export function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text += alphabet.charAt(group >> 18);
    text += alphabet.charAt((group >> 12) & 63);
    text += left > 1 ? alphabet.charAt((group >> 6) & 63) : padding;
    text += left > 2 ? alphabet.charAt(group & 63) : padding;
  }
  return text;
}

/** Is this exactly what `encodeBase64` writes? Looks without decoding. */
export function isBase64(text: string): boolean {
  if (text.length % 4 !== 0) return false;
  const padded = paddingOf(text);
  let sextet = 0;
  for (let at = 0; at < text.length - padded; at += 1) {
    sextet = sextets[text.charCodeAt(at)] ?? notInAlphabet;
    if (sextet === notInAlphabet) return false;
  }
  // Bits that are left over must be 0, or two texts would stand for the same bytes: 2 bits before =, 4 before ==.
  return (sextet & ((1 << (2 * padded)) - 1)) === 0;
}

/** The bytes of a text for which `isBase64` holds. */
export function decodeBase64(text: string): Uint8Array {
  const padded = paddingOf(text);
  const bytes = new Uint8Array((text.length / 4) * 3 - padded);
  let byteCount = 0;
  let bits = 0;
  let bitCount = 0;
  for (let at = 0; at < text.length - padded; at += 1) {
    bits = ((bits << 6) | (sextets[text.charCodeAt(at)] ?? 0)) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[byteCount] = bits >> bitCount;
      byteCount += 1;
    }
  }
  return bytes;
}

function paddingOf(text: string): 0 | 1 | 2 {
  if (!text.endsWith(padding)) return 0;
  return text.endsWith('==') ? 2 : 1;
}
