import { randomInt, randomUUID } from 'node:crypto';
import { encodeFields } from '@app/shared/entry';
import type { Position } from '@app/shared/position';
import { eventTopic } from '@app/shared/topics';
import { deleteResults, writeRevision } from '@app/test-kit/result-rows';
import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';
import type { Device, Session, TestEvent } from './target.ts';

/**
 * Adds devices of the suite to an event and removes them on disposal, with all their stored positions. Other devices of
 * the event are not touched.
 */
export async function openTestEvent(options: {
  readonly redis: Redis;
  readonly sql: Sql;
  readonly stream: string;
  readonly eventId: string;
  readonly session: Session;
  readonly deviceCount?: number | undefined;
}): Promise<TestEvent> {
  const { redis, sql, stream, eventId, session, deviceCount = 3 } = options;
  const devices: Device[] = [];
  let lastFixAtMs = 0;

  const addDevices = async (count: number): Promise<readonly Device[]> => {
    const added = Array.from({ length: count }, newDevice);
    devices.push(...added);
    const ids = join(added.map(({ id }) => id));
    const imeis = join(added.map(({ imei }) => imei));
    // One entry (team) for all of them.
    await sql.begin(async (transaction) => {
      const entryId = randomUUID();
      await transaction`insert into entries (id, event_id) values (${entryId}, ${eventId})`;
      await transaction`insert into devices (id, imei) select * from unnest(string_to_array(${ids}, ',')::uuid[], string_to_array(${imeis}, ','))`;
      await transaction`
        insert into entry_devices (id, entry_id, device_id)
        select gen_random_uuid(), ${entryId}::uuid, device_id from unnest(string_to_array(${ids}, ',')::uuid[]) as device_id`;
    });
    return added;
  };

  const removeDevices = async (removed: readonly Device[]): Promise<void> => {
    const ids = join(removed.map(({ id }) => id));
    await sql`delete from entry_devices where device_id = any(string_to_array(${ids}, ',')::uuid[])`;
  };

  /** A valid current fix. No two fixes of one test event have the same fix time. */
  const fixOf = (device: Device, fields: Partial<Position>): Position => {
    lastFixAtMs = Math.max(lastFixAtMs + 1, Date.now());
    return {
      deviceId: device.imei,
      fixAtMs: lastFixAtMs,
      latitude: 46.5,
      longitude: 8.25,
      altitudeM: 512,
      courseDeg: 90,
      speedKmh: 72.5,
      satellites: 9,
      priority: 0,
      attributes: {},
      ...fields,
    };
  };

  await addDevices(deviceCount);
  return {
    eventId,
    topic: eventTopic(eventId),
    session,
    devices: [...devices],
    publish: async (device, fields = {}) => {
      const position = fixOf(device, fields);
      // The server may read the entry before it knows the device and drop it. It then finds the stored fix.
      await redis.xadd(stream, '*', ...encodeFields({ position, codec: '8E' }));
      await sql`
        insert into positions
          (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
        values
          (${position.deviceId}, ${new Date(position.fixAtMs)}, ${position.latitude}, ${position.longitude},
           ${position.altitudeM}, ${position.courseDeg}, ${position.speedKmh}, ${position.satellites},
           ${position.priority}, '8E')`;
      return position;
    },
    markFaulty: async (device, fixAtMs) => {
      await sql`
        update positions set faulty = true where device_id = ${device.imei} and ts = ${new Date(fixAtMs)}`;
    },
    addDevice: async () => {
      const [device] = await addDevices(1);
      if (device === undefined) throw new Error('no device was added');
      return device;
    },
    writeResults: (revision) => writeRevision({ sql, redis }, eventId, revision),
    removeDevice: (device) => removeDevices([device]),
    [Symbol.asyncDispose]: async () => {
      await deleteResults({ sql, redis }, eventId);
      const ids = join(devices.map(({ id }) => id));
      const imeis = join(devices.map(({ imei }) => imei));
      await sql.begin(async (transaction) => {
        await transaction`
          with removed as (delete from entry_devices where device_id = any(string_to_array(${ids}, ',')::uuid[]) returning entry_id)
          delete from entries where id in (select entry_id from removed)`;
        await transaction`delete from devices where id = any(string_to_array(${ids}, ',')::uuid[])`;
        await transaction`delete from positions where device_id = any(string_to_array(${imeis}, ','))`;
      });
    },
  };
}

/** For `string_to_array`: postgres.js cannot send an array before it has fetched the server's types. */
function join(values: readonly string[]): string {
  return values.join(',');
}

function newDevice(): Device {
  return { id: randomUUID(), imei: `35${randomInt(1e12, 1e13 - 1)}` };
}
