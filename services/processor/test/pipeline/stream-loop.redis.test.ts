import { once } from 'node:events';
import { eventually } from '@app/test-kit/eventually';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readDeadLetters } from '../support/expect-all-stored.ts';
import { openFixture, type Fixture } from '../support/open-fixture.ts';
import { acceptRows, refuseRows } from '../support/refuse-rows.ts';
import { runLoop, type RunningLoop } from '../support/run-loop.ts';
import { record, records, send, sendFields } from '../support/telemetry.ts';
import type { StateTransition } from '../../src/state/device-states.ts';
import { failedAttemptsKey } from '../../src/pipeline/quarantine.ts';
import { deadLetterStream } from '../../src/stream/dead-letter.ts';

const noon = Date.UTC(2026, 5, 1, 12);
let fixture: Fixture;

beforeEach(async () => {
  fixture = await openFixture();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await fixture[Symbol.asyncDispose]();
});

function run(options: Partial<Parameters<typeof runLoop>[0]> = {}): RunningLoop {
  return runLoop({ ...fixture, ...options });
}

/** A domain that writes down the ids it hears. */
function listener(): {
  readonly ids: string[];
  readonly afterWrite: (transitions: readonly StateTransition[]) => Promise<void>;
} {
  const ids: string[] = [];
  return {
    ids,
    afterWrite: async (transitions) => {
      ids.push(...transitions.map(({ fix }) => fix.entry.id));
    },
  };
}

async function pending(): Promise<number> {
  return Number((await fixture.redis.xpending(fixture.stream, 'processor'))[0]);
}

test('the domain step gets every durable fix in reading order, duplicates and conflicts included', async () => {
  const { redis, stream } = fixture;
  const [first, second] = records(2);
  if (!first || !second) throw new Error('two records');
  const other = record({ ...first.position, latitude: 1 });
  const sent = await send(redis, stream, [first, second, first, other]);
  const domain = listener();
  await using _loop = run({ afterWrite: domain.afterWrite });
  const conflict = sent[3]?.id ?? '';
  await fixture.expectStored(sent, { deadLettered: new Map([[conflict, 'same_time']]) });
  expect(domain.ids).toEqual(sent.map(({ id }) => id));
});

test('fixes past the limit reach the domain step in reading order, and move no state', async () => {
  const { redis, sql, stream } = fixture;
  const nowMs = Date.now();
  const old = record({ fixAtMs: nowMs - 3 * 86_400_000 });
  const sent = await send(redis, stream, [old, record({ fixAtMs: nowMs }), old]);
  const transitions: StateTransition[] = [];
  await using loop = run({
    env: { PAST_LIMIT_MS: '86400000' },
    afterWrite: async (some) => {
      transitions.push(...some);
    },
  });
  await fixture.expectStored(sent);
  expect(transitions.map(({ fix }) => fix.entry.id)).toEqual(sent.map(({ id }) => id));
  expect(transitions.map(({ after }) => after.lastFix?.fixAtMs)).toEqual([undefined, nowMs, nowMs]);
  expect(await sql`select from positions_past_limit`).toHaveLength(1);
  expect(await loop.metric('processor_past_limit_fixes_total')).toBe(2);
});

test('a batch that is inserted before an earlier one still completes after it', async () => {
  const { redis, sql, stream } = fixture;
  await sql`
    create or replace function refuse_row() returns trigger language plpgsql as
    $$ begin if new.device_id = 'slow' then perform pg_sleep(0.3); end if; return new; end $$`;
  await sql`
    create trigger refuse_row before insert on positions for each row execute function refuse_row()`;
  const slow = record({ deviceId: 'slow', fixAtMs: noon });
  const sent = await send(redis, stream, [slow, ...records(29)]);
  const domain = listener();
  await using loop = run({
    afterWrite: domain.afterWrite,
    env: { WRITE_BATCH_SIZE: '10', BATCH_SIZE: '10' },
  });
  await eventually(async () => {
    const [row] = await sql<{ n: number }[]>`select count(*)::int as n from positions`;
    return (row?.n ?? 0) === 20;
  });
  expect(domain.ids).toEqual([]);
  expect(await loop.metric('processor_acks_total')).toBe(0);
  await fixture.expectStored(sent);
  expect(domain.ids).toEqual(sent.map(({ id }) => id));
});

test('after the group is recreated, redelivered entries follow those in flight, in order', async () => {
  const { redis, stream } = fixture;
  const sent = await send(redis, stream, records(10));
  const domain = listener();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let isHearing = false;
  await using loop = run({
    env: { WRITE_BATCH_SIZE: '10', BATCH_SIZE: '10' },
    afterWrite: async (transitions) => {
      isHearing = true;
      await released;
      await domain.afterWrite(transitions);
    },
  });
  await eventually(() => isHearing);
  await redis.xgroup('DESTROY', stream, 'processor');
  const later = await send(redis, stream, records(20, { from: 10 }));
  // Read again while the first are in flight still.
  await eventually(async () => (await pending()) === 30);
  release();
  await fixture.expectStored([...sent, ...later]);
  expect(domain.ids).toEqual([...sent, ...sent, ...later].map(({ id }) => id));
  expect(await loop.metric('processor_consumer_reads_total', { result: 'group_missing' })).toBe(1);
});

test('while the domain step fails later batches wait, and it gets the same batch again', async () => {
  const { redis, stream } = fixture;
  const calls: (readonly StateTransition[])[] = [];
  const sent = await send(redis, stream, records(30));
  await using loop = run({
    env: { WRITE_BATCH_SIZE: '10', BATCH_SIZE: '10' },
    afterWrite: async (batch) => {
      calls.push(batch);
      if (calls.length > 1 && calls.length <= 4) throw new Error('domain step failed');
    },
  });
  await fixture.expectStored(sent);
  const ids = calls.map((batch) => batch.map(({ fix }) => fix.entry.id));
  const batches = [0, 10, 20].map((from) => sent.slice(from, from + 10).map(({ id }) => id));
  expect(ids).toEqual([batches[0], batches[1], batches[1], batches[1], batches[1], batches[2]]);
  // States are not committed before the domain step succeeds: the batch is new each time.
  expect(calls[4]).toEqual(calls[1]);
  expect(await loop.metric('processor_acks_total')).toBe(30);
  expect(loop.messages.filter((message) => message.startsWith('error: domain step failed'))).toHaveLength(3);
});

test('a domain step that fails for more than ten devices ends the loop; its entries stay pending and are redelivered', async () => {
  const { redis, stream } = fixture;
  const sent = await send(redis, stream, records(50, { devices: 11 }));
  // The waits between the attempts are random; here they are none.
  vi.spyOn(Math, 'random').mockReturnValue(0);
  let batches = 0;
  {
    await using loop = run({
      afterWrite: async ({ length }) => {
        if (length > 1) batches += 1;
        throw new Error('the domain is broken');
      },
    });
    await expect(loop.ended).rejects.toThrow(
      /^The domain step fails for fixes of 11 devices, the last one in entry \d+-\d+: deploy a version/u,
    );
  }
  expect(batches).toBe(4);
  expect(await pending()).toBe(50);
  expect(await readDeadLetters(redis, stream)).toEqual([]);
  const domain = listener();
  await using _loop = run({ afterWrite: domain.afterWrite });
  await fixture.expectStored(sent);
  // Stored by the first loop, whose domain step did not succeed: the second passes the duplicates.
  expect(domain.ids).toEqual(sent.map(({ id }) => id));
});

test.each([
  ['beside others', 20],
  ['of all devices that report', 1],
])(
  'a fix %s for which the domain step fails alone is stored and dead-lettered, and the rest passes',
  async (_name, devices) => {
    const { redis, sql, stream } = fixture;
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const good = records(devices - 1, { devices });
    const bad = record({ deviceId: 'bad' });
    const sent = await send(redis, stream, [bad, ...good]);
    const domain = listener();
    await using loop = run({
      afterWrite: async (transitions) => {
        if (transitions.some(({ fix }) => fix.position.deviceId === 'bad'))
          throw new TypeError('at 46.5, 7.25');
        await domain.afterWrite(transitions);
      },
    });
    await eventually(async () => (await loop.metric('processor_acks_total')) === devices);
    expect(domain.ids).toEqual(sent.slice(1).map(({ id }) => id));
    const deadLetters = await readDeadLetters(redis, stream);
    expect(deadLetters.map(({ cause }) => cause)).toMatchObject([
      {
        dlq_entry_id: sent[0]?.id,
        dlq_reason: 'domain_step_failed',
        dlq_detail: 'the row is stored; the domain step fails for this fix alone (TypeError)',
      },
    ]);
    expect(loop.lines).toContainEqual(
      expect.objectContaining({ msg: 'domain step failed for one fix', stream, entryId: sent[0]?.id }),
    );
    const [row] = await sql<{ n: number }[]>`select count(*)::int as n from positions`;
    expect(row?.n).toBe(devices);
    // A replay passes the fix to the domain step again.
    await using _next = run({ afterWrite: domain.afterWrite, env: { INSTANCE_ID: 'next' } });
    await loop.stop();
    const [again] = await send(redis, stream, [bad]);
    await eventually(() => domain.ids.includes(again?.id ?? ''));
  },
);

test('the domain step gets the name of the stream, and a signal that ends its wait', async () => {
  const { redis, stream } = fixture;
  await send(redis, stream, records(1));
  const streams: string[] = [];
  await using loop = run({
    afterWrite: async (_transitions, context) => {
      streams.push(context.stream);
      await once(context.signal, 'abort');
      throw new Error('interrupted');
    },
  });
  await eventually(() => streams.length > 0);
  loop.abandon(new Error('enough'));
  await expect(loop.ended).rejects.toThrow('enough');
  expect(streams).toEqual([stream]);
  expect(await pending()).toBe(1);
});

test('after a crash between write and commit a fix still counts as new', async () => {
  const { redis, stream } = fixture;
  await send(redis, stream, [record({ fixAtMs: noon - 1000 })]);
  {
    await using loop = run();
    await eventually(async () => (await loop.metric('processor_acks_total')) === 1);
    await loop.stop();
  }
  await send(redis, stream, [record({ fixAtMs: noon }), record({ fixAtMs: noon + 1000 })]);
  {
    let isCalled = false;
    await using loop = run({
      afterWrite: async (_transitions, { signal }) => {
        isCalled = true;
        await once(signal, 'abort');
      },
    });
    await eventually(() => isCalled);
    loop.abandon(new Error('no'));
    await expect(loop.ended).rejects.toThrow('no');
  }
  const transitions: StateTransition[] = [];
  await using _loop = run({
    afterWrite: async (batch) => {
      transitions.push(...batch);
    },
  });
  await eventually(async () => (await pending()) === 0);
  expect(transitions.map(({ before, after }) => [before.lastFix?.fixAtMs, after.lastFix?.fixAtMs])).toEqual([
    [noon - 1000, noon],
    [noon, noon + 1000],
  ]);
});

test('a fatal error ends the loop and dead-letters nothing', async () => {
  const { redis, sql, stream } = fixture;
  const sent = await send(redis, stream, records(50));
  const bad = await sendFields(redis, stream, [['payload', 'x', 'codec', '8']]);
  await sql`alter table positions rename to moved`;
  try {
    await using loop = run({ env: { WRITE_BATCH_SIZE: '10', BATCH_SIZE: '10' } });
    await expect(loop.ended).rejects.toThrow('A table is missing: run the migrations');
    expect(await readDeadLetters(redis, stream)).toEqual([]);
    expect(await loop.metric('processor_acks_total')).toBe(0);
  } finally {
    await sql`alter table moved rename to positions`;
  }
  await using _loop = run();
  await fixture.expectStored([...sent, ...bad], { deadLettered: new Map([[bad[0]?.id ?? '', 'not_json']]) });
});

test('refused rows of too many devices end the loop and dead-letter nothing', async () => {
  const { redis, sql, stream } = fixture;
  const sent = await send(redis, stream, records(100, { devices: 20 }));
  await sql`alter table positions add constraint impossible check (speed < 0)`;
  try {
    await using loop = run();
    await expect(loop.ended).rejects.toThrow('Postgres refuses rows of 11 devices in one batch');
    expect(await readDeadLetters(redis, stream)).toEqual([]);
    expect(await pending()).toBe(100);
  } finally {
    await sql`alter table positions drop constraint impossible`;
  }
  await using _loop = run();
  await fixture.expectStored(sent);
});

test('nothing is acknowledged before its dead letter is written', async () => {
  const { redis, stream } = fixture;
  const good = await send(redis, stream, records(3));
  const bad = await sendFields(redis, stream, [['payload', '', 'codec', '8']]);
  // Redis refuses the dead letter.
  await redis.set(deadLetterStream(stream), 'not a stream');
  await using loop = run();
  await eventually(() => loop.loop.deadLetterWaitReason !== undefined);
  const before = loop.iterations();
  await eventually(() => loop.iterations() > before + 2);
  expect(await pending()).toBe(4);
  expect(await loop.metric('processor_dead_letters_total')).toBeUndefined();
  await redis.del(deadLetterStream(stream));
  await fixture.expectStored([...good, ...bad], { deadLettered: new Map([[bad[0]?.id ?? '', 'not_json']]) });
  expect(await loop.metric('processor_dead_letters_total', { reason: 'not_json' })).toBe(1);
  expect(await loop.metric('processor_consumer_decode_errors_total', { reason: 'not_json' })).toBe(1);
});

test('while an insert is retried nothing is read beyond what is in flight', async () => {
  const { redis, sql, stream } = fixture;
  await refuseRows(sql, '*', '53100');
  const sent = await send(redis, stream, records(1000));
  await using loop = run({ env: { WRITE_BATCH_SIZE: '10', BATCH_SIZE: '10', WRITE_CONCURRENCY: '2' } });
  await eventually(() => loop.loop.retryReason !== undefined);
  const before = loop.iterations();
  await eventually(() => loop.iterations() > before + 5);
  // Twice the concurrency, and one that was read while the first was being refused.
  expect(await pending()).toBeLessThanOrEqual(5 * 10);
  await acceptRows(sql, '*');
  await fixture.expectStored(sent);
  expect(loop.loop.retryReason).toBeUndefined();
});

test('a stop finishes everything in flight and leaves nothing pending', async () => {
  const { redis, stream } = fixture;
  await send(redis, stream, records(5000));
  const domain = listener();
  const loop = run({ afterWrite: domain.afterWrite, env: { WRITE_BATCH_SIZE: '100', BATCH_SIZE: '100' } });
  await using _end = loop;
  await eventually(() => domain.ids.length > 0, { intervalMs: 1 });
  await loop.stop();
  expect(await pending()).toBe(0);
  expect(await loop.metric('processor_acks_total')).toBe(domain.ids.length);
  const [row] = await fixture.sql<{ n: number }[]>`select count(*)::int as n from positions`;
  expect(row?.n).toBe(domain.ids.length);
});

test('abandoned work rejects with the reason and stays pending', async () => {
  const { redis, sql, stream } = fixture;
  const sent = await send(redis, stream, records(100));
  await refuseRows(sql, '*', '57P03');
  const loop = run();
  await using _end = loop;
  await eventually(() => loop.loop.retryReason !== undefined);
  const stopped = loop.stop();
  loop.abandon(new Error('enough'));
  await expect(stopped).rejects.toThrow('enough');
  expect(await pending()).toBe(100);
  await acceptRows(sql, '*');
  await using _next = run();
  await fixture.expectStored(sent);
});

/** Has `me` read all entries, so often that the next time is the `deliveries`th, and none was acknowledged. */
async function deliver(ids: readonly string[], deliveries: number): Promise<void> {
  const { redis, stream } = fixture;
  await redis.xgroup('CREATE', stream, 'processor', '0');
  await redis.xreadgroup('GROUP', 'processor', 'processor-1', 'STREAMS', stream, '>');
  const count = deliveries - 1;
  await redis.call('XCLAIM', stream, 'processor', 'processor-1', 0, ...ids, 'RETRYCOUNT', count, 'JUSTID');
}

test('entries that were delivered often are stored if they can be', async () => {
  const { redis, stream } = fixture;
  const sent = await send(redis, stream, records(50));
  const ids = sent.map(({ id }) => id);
  await deliver(ids, 100);
  const domain = listener();
  await using _loop = run({ afterWrite: domain.afterWrite });
  await fixture.expectStored(sent);
  expect(domain.ids).toEqual(ids);
  expect(await redis.exists(failedAttemptsKey(stream))).toBe(0);
});

test('the wait for Postgres does not count against a quarantined entry', async () => {
  const { redis, sql, stream } = fixture;
  const sent = await send(redis, stream, records(3));
  await deliver(
    sent.map(({ id }) => id),
    100,
  );
  await refuseRows(sql, '*', '53300');
  {
    await using loop = run();
    await eventually(async () => ((await loop.metric('processor_write_retries_total')) ?? 0) >= 3);
    expect(await redis.exists(failedAttemptsKey(stream))).toBe(0);
  }
  await acceptRows(sql, '*');
  await using _loop = run();
  await fixture.expectStored(sent);
});

test('a quarantined entry that Postgres refuses is dead-lettered with its deliveries', async () => {
  const { redis, sql, stream } = fixture;
  const sent = await send(redis, stream, [...records(3), record({ deviceId: 'bad' })]);
  await deliver(
    sent.map(({ id }) => id),
    7,
  );
  await refuseRows(sql, 'bad', '22003');
  await using _loop = run();
  await fixture.expectStored(sent, { deadLettered: new Map([[sent[3]?.id ?? '', 'row_refused']]) });
  const [deadLetter] = await readDeadLetters(redis, stream);
  expect(deadLetter?.cause).toMatchObject({ dlq_deliveries: '7', dlq_sqlstate: '22003' });
  expect(await redis.exists(failedAttemptsKey(stream))).toBe(0);
});

test('an entry whose last two attempts did not end is dead-lettered without a third', async () => {
  const { redis, sql, stream } = fixture;
  const sent = await send(redis, stream, records(3));
  const [, poison, healthy] = sent.map(({ id }) => id);
  if (poison === undefined || healthy === undefined) throw new Error('three entries were sent');
  await deliver(
    sent.map(({ id }) => id),
    7,
  );
  await redis.hset(failedAttemptsKey(stream), poison, 2, healthy, 1);
  await using _loop = run();
  await fixture.expectStored(sent, { deadLettered: new Map([[poison, 'ended_process']]) });
  const [deadLetter] = await readDeadLetters(redis, stream);
  expect(deadLetter?.cause['dlq_detail']).toBe(
    'the process crashed 2 times while it processed this entry alone',
  );
  expect(await redis.exists(failedAttemptsKey(stream))).toBe(0);
  const [row] = await sql<{ n: number }[]>`select count(*)::int as n from positions`;
  expect(row?.n).toBe(2);
});

test('vanished entries are acknowledged, and nothing else is done with them', async () => {
  const { redis, stream } = fixture;
  const sent = await send(redis, stream, records(4));
  await deliver(
    sent.map(({ id }) => id),
    2,
  );
  await redis.xdel(stream, sent[0]?.id ?? '', sent[3]?.id ?? '');
  await using loop = run();
  await fixture.expectStored(
    sent.slice(1, 3).concat(sent.slice(3).map(({ id, fields }) => ({ id, fields }))),
  );
  expect(await loop.metric('processor_entries_vanished_total')).toBe(2);
});
