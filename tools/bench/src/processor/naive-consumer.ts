// The first version that one writes: read 100, validate, insert with VALUES, await, acknowledge.
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { z } from 'zod';

const payloadSchema = z.object({
  device_id: z.string().min(1),
  timestamp: z.iso.datetime(),
  latitude: z.number().min(-90).max(90),
  longitude: z.number().min(-180).max(180),
  altitude: z.number(),
  angle: z.number().min(0).max(360),
  speed: z.number(),
  satellites: z.number().int(),
  priority: z.number().int(),
  attributes: z.record(z.string(), z.any()),
});

const { REDIS_URL = '', POSTGRES_URL = '', STREAM = '', GROUP = '' } = process.env;
const redis = new Redis(REDIS_URL);
const sql = postgres(POSTGRES_URL);
await redis.xgroup('CREATE', STREAM, GROUP, '0', 'MKSTREAM').catch(() => undefined);

for (;;) {
  const reply: unknown = await redis.xreadgroup(
    'GROUP',
    GROUP,
    'naive',
    'COUNT',
    100,
    'BLOCK',
    2000,
    'STREAMS',
    STREAM,
    '>',
  );
  const entries = Array.isArray(reply) ? reply[0][1] : [];
  const ids: string[] = [];
  const rows = [];
  for (const [id, flat] of entries) {
    const fields: Record<string, string> = {};
    for (let i = 0; i < flat.length; i += 2) fields[flat[i]] = flat[i + 1];
    const { timestamp, ...position } = payloadSchema.parse(JSON.parse(fields['payload'] ?? ''));
    rows.push({
      ...position,
      ts: timestamp,
      codec: fields['codec'] ?? '',
      attributes: sql.json(position.attributes),
    });
    ids.push(id);
  }
  if (rows.length === 0) continue;
  await sql`insert into positions ${sql(rows)} on conflict (device_id, ts) do nothing`;
  await redis.xack(STREAM, GROUP, ...ids);
}
