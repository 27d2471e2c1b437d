/** A member of a JSON object, as it is written. `at` and `end` delimit its value. */
export interface JsonMember {
  readonly key: string;
  readonly at: number;
  readonly end: number;
}

/**
 * The members of the object that begins at `at` of a valid JSON string, repeated keys included, of which JSON.parse
 * returns the last only. Linear in the size of the object.
 */
export function readMembers(json: string, at: number): readonly JsonMember[] {
  const members: JsonMember[] = [];
  let next = skipBlanks(json, at + 1);
  while (json.charCodeAt(next) === quote) {
    const keyEnd = skipString(json, next);
    const key = json.slice(next + 1, keyEnd - 1);
    const valueAt = skipBlanks(json, skipBlanks(json, keyEnd) + 1);
    const end = skipValue(json, valueAt);
    members.push({ key: key.includes('\\') ? JSON.parse(`"${key}"`) : key, at: valueAt, end });
    next = skipBlanks(json, end);
    if (json.charCodeAt(next) === comma) next = skipBlanks(json, next + 1);
  }
  return members;
}

/** The first key that more than one of the members has. */
export function findRepeatedKey(members: readonly JsonMember[]): string | undefined {
  const keys = new Set<string>();
  return members.find(({ key }) => keys.size === keys.add(key).size)?.key;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

function skipBlanks(json: string, at: number): number {
  let end = at;
  while (json.charCodeAt(end) <= 0x20) end += 1;
  return end;
}

function skipString(json: string, at: number): number {
  for (let end = at + 1; ; end += 1) {
    const code = json.charCodeAt(end);
    if (code === quote) return end + 1;
    if (code === backslash) end += 1;
  }
}

// Not recursive: values may be nested as deeply as the payload is long.
function skipValue(json: string, at: number): number {
  let depth = 0;
  for (let end = at; ; end += 1) {
    const code = json.charCodeAt(end);
    if (code === quote) {
      end = skipString(json, end) - 1;
    } else if (code === openBrace || code === openBracket) {
      depth += 1;
    } else if (depth === 0 && (code === comma || code === closeBrace || code <= 0x20)) {
      return end;
    } else if (code === closeBrace || code === closeBracket) {
      depth -= 1;
    }
  }
}
