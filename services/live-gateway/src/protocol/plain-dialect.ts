import type { MessageId } from '@app/shared/messages';
import type { LatestFix } from '../latest/latest-fixes.ts';

/** A fix never changes, so its JSON is encoded once, for all events, rates and snapshots. */
const fieldsOfFix = new WeakMap<LatestFix, string>();

/** A `position` frame of the plain dialect. */
export function encodePlainPosition(topic: string, fix: LatestFix): string {
  // A topic is `event:` and a UUID: nothing in it needs escaping.
  return `{"type":"position","topic":"${topic}",${encodeFields(fix)}}`;
}

export interface PlainSnapshot {
  readonly frame: string;
  /** The fixes that fitted; the others follow as `position`. */
  readonly written: readonly LatestFix[];
}

/**
 * A `subscribed` frame of the plain dialect with as many of the fixes as fit into `maxBytes`.
 *
 * @param options.isDegraded whether older positions may be missing because Postgres could not be queried.
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
  const written: LatestFix[] = [];
  const rows: string[] = [];
  for (const fix of options.fixes) {
    const row = `{${encodeFields(fix)}}`;
    // A row is ASCII: numbers, and an IMEI of letters, digits, _ and -. One byte more for the comma.
    frameBytes += row.length + 1;
    if (frameBytes > options.maxBytes) break;
    rows.push(row);
    written.push(fix);
  }
  return { frame: `${head}${rows.join(',')}${tail}`, written };
}

function encodeFields(fix: LatestFix): string {
  const known = fieldsOfFix.get(fix);
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
  fieldsOfFix.set(fix, fields);
  return fields;
}
