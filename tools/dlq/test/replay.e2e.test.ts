import { deadLetterStream, decodeDeadLetter } from '@app/processor/stream/dead-letter';
import { openFixture, type Fixture } from '@app/processor/testing/open-fixture';
import { acceptRows, refuseRows } from '@app/processor/testing/refuse-rows';
import { record, records, send } from '@app/processor/testing/telemetry';
import { eventually } from '@app/test-kit/eventually';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  dlq,
  type Fixture as DeadLetterFixture,
  hex,
  openFixture as openDeadLetterFixture,
} from './support/open-fixture.ts';

const servers = new AsyncDisposableStack();
let fixture: Fixture;
let deadLetterFixture: DeadLetterFixture;

beforeAll(async () => {
  fixture = servers.use(await openFixture());
  deadLetterFixture = servers.use(openDeadLetterFixture(fixture.redisUrl, fixture.stream));
  const processor = await fixture.start();
  await processor.untilReady();
});
afterAll(() => servers.disposeAsync());

/** Waits until every entry of the stream is delivered and acknowledged. */
async function untilAllAcknowledged(): Promise<void> {
  await eventually(
    async () => {
      const [last] = await deadLetterFixture.redis.xrevrange(fixture.stream, '+', '-', 'COUNT', 1);
      const groups: unknown = await deadLetterFixture.redis.xinfo('GROUPS', fixture.stream);
      const group: unknown = Array.isArray(groups) ? groups[0] : undefined;
      if (!Array.isArray(group)) return false;
      const field = (name: string): unknown => group[group.indexOf(name) + 1];
      return field('pending') === 0 && field('last-delivered-id') === last?.[0];
    },
    { timeoutMs: 60_000 },
  );
}

async function countRows(deviceId: string): Promise<number> {
  const [row] = await fixture.sql<{ n: number }[]>`
    select count(*)::int as n from positions where device_id = ${deviceId}`;
  return row?.n ?? -1;
}

async function deadLetters() {
  const entries = await deadLetterFixture.redis.xrangeBuffer(deadLetterStream(fixture.stream), '-', '+');
  return entries.map(([id, fields]) => decodeDeadLetter(id.toString(), fields));
}

test(
  'a refused row is stored once when it is replayed after its cause is fixed',
  { timeout: 120_000 },
  async () => {
    await refuseRows(fixture.sql, 'refused', '23514');
    const good = records(20);
    const [refused] = await send(fixture.redis, fixture.stream, [record({ deviceId: 'refused' }), ...good]);
    await untilAllAcknowledged();
    const [deadLetter] = await deadLetters();
    expect(deadLetter?.cause).toMatchObject({
      dlq_reason: 'row_refused',
      dlq_sqlstate: '23514',
      dlq_entry_id: refused?.id,
    });

    // Replayed before the fix it fails again: still one dead letter with the original fields.
    for (const _ of [1, 2, 3]) {
      expect(await deadLetterFixture.run('replay', '--reason', 'row_refused')).toMatchObject({
        code: 0,
        stdout: `${deadLetterFixture.stream}: 1 replayed\n`,
      });
      await untilAllAcknowledged();
      const again = await deadLetters();
      expect(again.map((each) => hex(each?.fields ?? []))).toEqual([hex(refused?.fields ?? [])]);
      expect(again[0]?.cause.dlq_entry_id).not.toBe(refused?.id);
    }
    expect(await countRows('refused')).toBe(0);

    await acceptRows(fixture.sql, 'refused');
    expect((await deadLetterFixture.run('replay', '--all')).code).toBe(0);
    await untilAllAcknowledged();
    expect([await countRows('refused'), await deadLetters()]).toEqual([1, []]);
    expect((await deadLetterFixture.run('replay', '--all')).stdout).toBe(`${fixture.stream}: 0 replayed\n`);
  },
);

test('replaying a stored entry changes nothing', { timeout: 120_000 }, async () => {
  const [sent] = await send(fixture.redis, fixture.stream, [record({ deviceId: 'twice' })]);
  await deadLetterFixture.add({ fields: sent?.fields ?? [] }, { fields: sent?.fields ?? [] });
  await deadLetterFixture.run('replay', '--all');
  await untilAllAcknowledged();
  expect([await countRows('twice'), await deadLetters()]).toEqual([1, []]);
});

test(
  'what a wrong clock had dead-lettered is stored after a replay with the right limit',
  { timeout: 120_000 },
  async () => {
    await using own = await openFixture();
    await using letters = openDeadLetterFixture(own.redisUrl, own.stream);
    const inTwoHours = Date.now() + 7_200_000;
    const sent = await send(
      own.redis,
      own.stream,
      records(300).map(({ position }, n) => record({ ...position, fixAtMs: inTwoHours + n })),
    );
    const env = { FUTURE_LIMIT_MS: '3600000', DLQ_ACCEPT_REASONS: 'future_limit' };
    const processor = await own.start({ env });
    await eventually(async () => (await letters.deadLetterIds()).length === sent.length, {
      timeoutMs: 30_000,
    });
    const refused = await dlq(['replay', '--all'], { ...letters.env, FUTURE_LIMIT_MS: '3600000' });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('300 of 300 would be rejected again (300 future_limit)');
    await processor.stop();

    await own.start({ env: { FUTURE_LIMIT_MS: '86400000' } });
    expect((await letters.run('replay', '--reason', 'future_limit')).code).toBe(0);
    await eventually(
      async () => {
        const [row] = await own.sql<{ n: number }[]>`select count(*)::int as n from positions`;
        return row?.n === sent.length;
      },
      { timeoutMs: 30_000 },
    );
    expect(await letters.deadLetterIds()).toEqual([]);
  },
);
