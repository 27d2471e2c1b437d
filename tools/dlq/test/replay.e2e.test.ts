import { deadLetterStream, decodeDeadLetter } from '@app/processor/stream/dead-letter';
import { openFixture, type Fixture } from '@app/processor/testing/open-fixture';
import { acceptRows, refuseRows } from '@app/processor/testing/refuse-rows';
import { record, records, send } from '@app/processor/testing/telemetry';
import { eventually } from '@app/test-kit/eventually';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Desk, hex, openDesk } from './support/open-desk.ts';

const servers = new AsyncDisposableStack();
let fixture: Fixture;
let desk: Desk;

beforeAll(async () => {
  fixture = servers.use(await openFixture());
  desk = servers.use(openDesk(fixture.redisUrl, fixture.stream));
  const processor = await fixture.start();
  await processor.untilReady();
});
afterAll(() => servers.disposeAsync());

/** Waits until all that is on the stream has been delivered and acknowledged. */
async function untilSettled(): Promise<void> {
  await eventually(
    async () => {
      const [last] = await desk.redis.xrevrange(fixture.stream, '+', '-', 'COUNT', 1);
      const groups: unknown = await desk.redis.xinfo('GROUPS', fixture.stream);
      const group: unknown = Array.isArray(groups) ? groups[0] : undefined;
      if (!Array.isArray(group)) return false;
      const field = (name: string): unknown => group[group.indexOf(name) + 1];
      return field('pending') === 0 && field('last-delivered-id') === last?.[0];
    },
    { timeoutMs: 60_000 },
  );
}

async function rows(deviceId: string): Promise<number> {
  const [row] = await fixture.sql<{ n: number }[]>`
    select count(*)::int as n from positions where device_id = ${deviceId}`;
  return row?.n ?? -1;
}

async function letters() {
  const entries = await desk.redis.xrangeBuffer(deadLetterStream(fixture.stream), '-', '+');
  return entries.map(([id, fields]) => decodeDeadLetter(id.toString(), fields));
}

test(
  'a row that Postgres refused is stored once when the cause is gone and its letter is replayed',
  { timeout: 120_000 },
  async () => {
    await refuseRows(fixture.sql, 'refused', '23514');
    const good = records(20);
    const [refused] = await send(fixture.redis, fixture.stream, [record({ deviceId: 'refused' }), ...good]);
    await untilSettled();
    const [letter] = await letters();
    expect(letter?.cause).toMatchObject({
      dlq_reason: 'row_refused',
      dlq_sqlstate: '23514',
      dlq_entry_id: refused?.id,
    });

    // Too early, again and again: one letter stays one letter, and holds what was sent.
    for (const _ of [1, 2, 3]) {
      expect(await desk.run('replay', '--reason', 'row_refused')).toMatchObject({
        code: 0,
        stdout: `${fixture.stream}: 1 replayed\n`,
      });
      await untilSettled();
      const again = await letters();
      expect(again.map((each) => hex(each?.fields ?? []))).toEqual([hex(refused?.fields ?? [])]);
      expect(again[0]?.cause.dlq_entry_id).not.toBe(refused?.id);
    }
    expect(await rows('refused')).toBe(0);

    await acceptRows(fixture.sql, 'refused');
    expect((await desk.run('replay', '--all')).code).toBe(0);
    await untilSettled();
    expect([await rows('refused'), await letters()]).toEqual([1, []]);
    expect((await desk.run('replay', '--all')).stdout).toBe(`${fixture.stream}: 0 replayed\n`);
  },
);

test(
  'what is stored already is a duplicate when it is replayed, and nothing changes',
  { timeout: 120_000 },
  async () => {
    const [sent] = await send(fixture.redis, fixture.stream, [record({ deviceId: 'twice' })]);
    await desk.plant({ fields: sent?.fields ?? [] }, { fields: sent?.fields ?? [] });
    await desk.run('replay', '--all');
    await untilSettled();
    expect([await rows('twice'), await letters()]).toEqual([1, []]);
  },
);
