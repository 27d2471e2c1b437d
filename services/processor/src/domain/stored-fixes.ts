import type { Fix } from '../fix.ts';

/**
 * A stored fix in `stored:<event>`: device id, fix time (epoch ms), latitude, longitude, speed (km/h), course (degrees),
 * satellites, HDOP or null, priority, quality, and 1 if its key was stored already, perhaps with other content.
 */
export type StoredFix = readonly [
  deviceId: string,
  fixAtMs: number,
  latitude: number,
  longitude: number,
  speedKmh: number,
  courseDeg: number,
  satellites: number,
  hdop: number | null,
  priority: number,
  quality: number,
  isRepeated: 0 | 1,
];

/** The field of an entry that holds a list of stored fixes as JSON. */
export const fixesField = 'fixes';

export function storedStream(eventId: string): string {
  return `stored:${eventId}`;
}

export function encodeStoredFix({ position, quality }: Fix, isRepeated: boolean): string {
  const { deviceId, fixAtMs, latitude, longitude, speedKmh, courseDeg, satellites, priority } = position;
  const row: StoredFix = [
    deviceId,
    fixAtMs,
    latitude,
    longitude,
    speedKmh,
    courseDeg,
    satellites,
    findHdop(position.attributesJson),
    priority,
    quality,
    isRepeated ? 1 : 0,
  ];
  return JSON.stringify(row);
}

/** Undefined for what this version did not write. */
export function decodeStoredFixes(json: string | undefined): readonly StoredFix[] | undefined {
  try {
    const value: unknown = JSON.parse(json ?? '');
    return Array.isArray(value) && value.every(isStoredFix) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isStoredFix(value: unknown): value is StoredFix {
  return (
    Array.isArray(value) && value.length === 11 && typeof value[0] === 'string' && Number.isFinite(value[1])
  );
}

/** Teltonika's IO element 182: HDOP × 10. */
const hdopAttribute = /"182":(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)[,}]/u;

/** Parsing all attributes would cost more than the rest of the row. */
function findHdop(attributesJson: string): number | null {
  const [, tenths] = hdopAttribute.exec(attributesJson) ?? [];
  return tenths === undefined ? null : Number(tenths) / 10;
}
