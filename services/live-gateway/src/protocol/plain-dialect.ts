import type { MessageId } from '@app/shared/messages';
import type { LatestFix } from '../latest/latest-fixes.ts';

/** A fix is immutable, so its JSON is encoded once, whatever the number of events, rates and snapshots. */
const encodedFields = new WeakMap<LatestFix, string>();

/** A `position` frame of the plain dialect. */
export function encodePlainPosition(topic: string, fix: LatestFix): string {
  // A topic is `event:` and a UUID and needs no JSON escaping.
  return `{"type":"position","topic":"${topic}",${encodeFields(fix)}}`;
}

export interface PlainSnapshot {
  readonly frame: string;
  /** The fixes that fitted into the frame; the others follow as `position`. */
  readonly included: readonly LatestFix[];
}

/**
 * A `subscribed` frame of the plain dialect with as many of the fixes as fit into `maxBytes`.
 *
 * @param isDegraded Postgres has not been queried successfully, so positions may be missing that follow later.
 */
export function encodePlainSubscribed(options: {
  readonly topic: string;
  readonly id: MessageId | undefined;
  readonly fixes: readonly LatestFix[];
  readonly isDegraded: boolean;
  readonly maxBytes: number;
}): PlainSnapshot {
  const id = options.id === undefined ? '' : `,"id":${JSON.stringify(options.id)}`;
  const degraded = options.isDegraded ? ',"degraded":true' : '';
  const head = `{"type":"subscribed","topic":"${options.topic}"${id}${degraded},"snapshot":[`;
  const tail = ']}';
  let frameBytes = Buffer.byteLength(head) + tail.length;
  const included: LatestFix[] = [];
  const rows: string[] = [];
  for (const fix of options.fixes) {
    const row = `{${encodeFields(fix)}}`;
    // A row is ASCII: numbers, and an IMEI of letters, digits, _ and -. One more byte for the comma.
    frameBytes += row.length + 1;
    if (frameBytes > options.maxBytes) break;
    rows.push(row);
    included.push(fix);
  }
  return { frame: `${head}${rows.join(',')}${tail}`, included };
}

function encodeFields(fix: LatestFix): string {
  const known = encodedFields.get(fix);
  if (known !== undefined) return known;
  const fields = JSON.stringify({
    deviceId: fix.deviceId,
    lat: fix.latitude,
    lon: fix.longitude,
    ts: fix.fixAtMs,
    speed: fix.speedKmh,
    course: fix.courseDeg,
    altitude: fix.altitudeM,
  }).slice(1, -1);
  encodedFields.set(fix, fields);
  return fields;
}
