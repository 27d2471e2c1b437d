import type { Redis } from 'ioredis';

/** A position as the peers send it, with the fields of the gateway's rows. */
export interface PeerPosition {
  readonly deviceId: string;
  readonly lon: number;
  readonly lat: number;
  readonly ts: number;
  readonly speed: number;
  readonly course: number;
  readonly altitude: number;
}

interface Payload {
  readonly device_id: string;
  readonly longitude: number;
  readonly latitude: number;
  readonly timestamp: string;
  readonly speed: number;
  readonly angle: number;
  readonly altitude: number;
}

/** Reads new entries of the telemetry stream without `@app/shared`. */
export async function* readPositions(redis: Redis, stream: string): AsyncGenerator<PeerPosition> {
  let lastId = '$';
  for (;;) {
    const reply = await redis.xread('COUNT', 500, 'BLOCK', 1000, 'STREAMS', stream, lastId);
    for (const [id, fields] of reply?.[0]?.[1] ?? []) {
      lastId = id;
      const payload: Payload = JSON.parse(fields[fields.indexOf('payload') + 1] ?? '');
      yield {
        deviceId: payload.device_id,
        lon: payload.longitude,
        lat: payload.latitude,
        ts: Date.parse(payload.timestamp),
        speed: payload.speed,
        course: payload.angle,
        altitude: payload.altitude,
      };
    }
  }
}
