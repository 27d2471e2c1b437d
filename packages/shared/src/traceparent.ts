const decoder = new TextDecoder();

/** The span in which a message was sent. */
export interface TraceLink {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
}

/**
 * The span in the `traceparent` field of a stream entry (W3C Trace Context); undefined if the field is missing or
 * malformed, or if its sampled flag is not set.
 *
 * @param fields as Redis returns them: `[name, value, name, value, …]`.
 */
export function sampledTraceOf(fields: readonly Uint8Array[]): TraceLink | undefined {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at];
    // No other field name has this length.
    if (name?.length === 11 && decoder.decode(name) === 'traceparent')
      return parseTraceparent(fields[at + 1]);
  }
  return undefined;
}

function parseTraceparent(value: Uint8Array | undefined): TraceLink | undefined {
  // Version 00 has exactly 55 characters; later versions may append more after a hyphen.
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
