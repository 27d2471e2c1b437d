import { randomUUID } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { createDictionary, deflateFrames } from '@app/live-gateway/fanout/deflate-frames';
import { encodePositions, encodeRow } from '@app/live-gateway/protocol/batched-dialect';
import { race, raceImeis } from '@app/fleet-sim/race';
import type { Position } from '@app/shared/position';

/** A way to write the frames of a flush. */
export interface Variant {
  readonly what: string;
  /** Whether uWebSockets.js compresses, once for each socket. */
  readonly isCompressedByServer: boolean;
  readonly encode: (positions: readonly Position[]) => Uint8Array;
}

const vehicles = 200;
const flushMs = 250;
const startAtMs = Date.UTC(2026, 6, 4, 9);
const fleet = { seed: 7, vehicles };
const indexByImei = new Map(raceImeis(fleet).map((imei, index) => [imei, index]));
const ids = Array.from(indexByImei, () => randomUUID());
const topic = `event:${randomUUID()}`;
const cursor = '1783155660000-0.K3qk1wJ9x2Lw';

/** What changed in each flush of a race of 200 vehicles. */
export function flushesOf(durationMs: number): readonly (readonly Position[])[] {
  const flushes: Map<string, Position>[] = [];
  for (const { sendAtMs, record } of race({ ...fleet, startAtMs, durationMs })) {
    const flush = (flushes[Math.floor((sendAtMs - startAtMs) / flushMs)] ??= new Map());
    flush.set(record.position.deviceId, record.position);
  }
  return flushes.flatMap((flush) =>
    flush.size === 0 ? [] : [[...flush.values()].slice(0, vehicles * 0.75)],
  );
}

function encodeText(positions: readonly Position[]): Buffer {
  const rows = positions.map((position) =>
    encodeRow(ids[indexByImei.get(position.deviceId) ?? 0] ?? '', {
      ...position,
      arrivedAtMs: 0,
      entryRef: undefined,
    }),
  );
  return Buffer.from(encodePositions(topic, rows, cursor), 'latin1');
}

function units(degrees = 0): number {
  return Math.round(degrees * 1e7);
}

/** Devices by number, and integers relative to the first row. */
function encodeShortRows(positions: readonly Position[]): Buffer {
  const [first] = positions;
  const [lon0, lat0, ts0] = [units(first?.longitude), units(first?.latitude), first?.fixAtMs ?? 0];
  const rows = positions.map(({ deviceId, longitude, latitude, fixAtMs, speedKmh, courseDeg, altitudeM }) => [
    indexByImei.get(deviceId),
    units(longitude) - lon0,
    units(latitude) - lat0,
    fixAtMs - ts0,
    speedKmh,
    courseDeg,
    altitudeM,
  ]);
  return Buffer.from(JSON.stringify({ type: 'p', topic, cursor, origin: [lon0, lat0, ts0], rows }), 'latin1');
}

const dictionary = createDictionary(topic, ids);

export const variants: readonly Variant[] = [
  { what: 'text', isCompressedByServer: false, encode: encodeText },
  {
    what: 'deflated once, with a dictionary',
    isCompressedByServer: false,
    encode: (positions) =>
      deflateFrames([{ payload: encodeText(positions), indexes: [] }], dictionary).payloads[0] ??
      new Uint8Array(),
  },
  {
    what: 'deflated once, without one',
    isCompressedByServer: false,
    encode: (positions) => deflateRawSync(encodeText(positions)),
  },
  { what: 'permessage-deflate of uWebSockets.js', isCompressedByServer: true, encode: encodeText },
  { what: 'short rows', isCompressedByServer: false, encode: encodeShortRows },
];
