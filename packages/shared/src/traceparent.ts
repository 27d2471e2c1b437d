const decoder = new TextDecoder();

/** A span of another program: the one that sent a message. */
export interface TraceLink {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
}

/**
 * The span that a stream entry says it comes from, by its field `traceparent` (W3C Trace Context); undefined where
 * there is none, where it is malformed, and where its sender does not record it.
 *
 * @param fields as Redis gives them: `[name, value, name, value, …]`.
 */
export function sampledTraceOf(fields: readonly Uint8Array[]): TraceLink | undefined {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at];
    // Its length tells it from all other fields at once.
    if (name?.length === 11 && decoder.decode(name) === 'traceparent') return readTraceparent(fields[at + 1]);
  }
  return undefined;
}

function readTraceparent(value: Uint8Array | undefined): TraceLink | undefined {
  // Later versions may go on after a hyphen; of version 00 these 55 characters are all.
  if (value === undefined || value.length < 55 || value.length > 512) return undefined;
  const parts = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/u.exec(
    decoder.decode(value),
  );
  const [, version, traceId = '', spanId = '', flags = '', more] = parts ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0*$/u.test(traceId) || /^0*$/u.test(spanId)) return undefined;
  const isSampled = (Number.parseInt(flags, 16) & 1) === 1;
  return isSampled ? { traceId, spanId } : undefined;
}
