import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { disturbLookUps, stopDisturbing } from '../support/disturb-look-ups.ts';
import { openWriter } from '../support/open-writer.ts';
import { openFixture, type Fixture } from '../support/open-fixture.ts';
import { runLoop, type RunningLoop } from '../support/run-loop.ts';
import { record, records, send } from '../support/telemetry.ts';
import type { StateTransition } from '../../src/state/device-states.ts';
import { lookUpLastFixes } from '../../src/state/look-up-last-fixes.ts';

const noon = Date.UTC(2026, 5, 1, 12);

function run(fixture: Fixture): RunningLoop & { readonly transitions: StateTransition[] } {
  const transitions: StateTransition[] = [];
  const loop = runLoop({
    ...fixture,
    statementTimeoutMs: 500,
    afterWrite: async (some) => {
      transitions.push(...some);
    },
  });
  return Object.assign(loop, { transitions });
}

/** Stores a fix of one device, and forgets its state. */
async function storeOne(fixture: Fixture): Promise<void> {
  await send(fixture.redis, fixture.stream, [record({ fixAtMs: noon - 1000 })]);
  await using loop = run(fixture);
  await eventually(async () => (await loop.metric('processor_acks_total')) === 1);
  await loop.stop();
}

test.each([
  ['is not answered in time (57014)', 'perform pg_sleep(30);'],
  ['needs more memory or locks than there are (53200)', "raise 'for a test' using errcode = '53200';"],
  ['exceeds a limit of the configuration (53400)', "raise 'for a test' using errcode = '53400';"],
])('a look-up that %s leaves the states unknown, and the fixes pass', async (_name, body) => {
  await using fixture = await openFixture();
  await storeOne(fixture);
  await disturbLookUps(fixture.sql, body);
  await using loop = run(fixture);
  await send(fixture.redis, fixture.stream, [
    record({ fixAtMs: noon }),
    record({ deviceId: 'new', fixAtMs: noon }),
  ]);
  await eventually(async () => (await loop.metric('processor_acks_total')) === 2);
  expect(loop.transitions.map(({ before }) => before.lastFix)).toEqual([undefined, undefined]);
  expect(await loop.metric('processor_device_state_look_ups_total', { result: 'failed' })).toBe(2);
  expect(loop.messages).toContain('warn: device-state look-up failed; continuing without these states');
  // The device has a state now, so it is not looked up again; others are.
  await send(fixture.redis, fixture.stream, [record({ fixAtMs: noon + 1000 })]);
  await eventually(async () => (await loop.metric('processor_acks_total')) === 3);
  expect(loop.transitions[2]?.before.lastFix?.fixAtMs).toBe(noon);
  await stopDisturbing(fixture.sql);
  await send(fixture.redis, fixture.stream, [record({ deviceId: 'another', fixAtMs: noon })]);
  await eventually(async () => (await loop.metric('processor_acks_total')) === 4);
  expect(await loop.metric('processor_device_state_look_ups_total', { result: 'failed' })).toBe(2);
  expect(await loop.metric('processor_device_state_look_ups_total', { result: 'none' })).toBe(1);
});

test('a look-up without the right to read (42501) ends the loop, with what to grant', async () => {
  await using fixture = await openFixture();
  const { sql, stream, redis } = fixture;
  const url = new URL(fixture.postgresUrl);
  url.username = `insert_only_${stream.replaceAll(/\W/gu, '_')}`;
  url.password = 'of-this-test';
  await sql.unsafe(`create role ${url.username} login password 'of-this-test'`);
  try {
    // Enough to insert and to report conflicts.
    await sql.unsafe(`grant insert, select (device_id, ts) on positions to ${url.username}`);
    await send(redis, stream, records(3));
    await using loop = runLoop({ ...fixture, postgresUrl: url.href });
    await expect(loop.ended).rejects.toThrow('or as the owner: select grant_least_rights()');
    expect(await loop.metric('processor_acks_total')).toBe(0);
  } finally {
    await sql.unsafe(`drop owned by ${url.username}`);
    await sql.unsafe(`drop role ${url.username}`);
  }
});

test('more devices than a statement looks up are looked up in several', async () => {
  await using fixture = await openFixture();
  await using at = openWriter(fixture.postgresUrl);
  const asked = new Map(Array.from({ length: 501 }, (_, n) => [`d${n}`, noon]));
  expect(await lookUpLastFixes(at.runner, at.metrics, at.log)(asked, new AbortController().signal)).toEqual(
    new Map(),
  );
  expect(await at.statements()).toBe(3);
  expect(await at.metric('processor_device_state_look_ups_total', { result: 'none' })).toBe(501);
});
