import { CodecError, decodeAttributes, decodePosition } from '../src/codec.ts';
import type { DecodedPosition, Position } from '../src/position.ts';

/** Decodes a payload and then its attributes. */
export function decodeValues(payload: Uint8Array | string): Position | CodecError {
  const decoded = decodePosition(payload);
  return decoded instanceof CodecError ? decoded : withAttributes(decoded);
}

/** The position as it was encoded, its attributes decoded. */
export function withAttributes({ attributesJson, ...fields }: DecodedPosition): Position {
  const attributes = decodeAttributes(JSON.parse(attributesJson));
  if (attributes instanceof CodecError) throw new TypeError(attributes.detail);
  return { ...fields, attributes };
}
