import { encodeFields } from '@app/shared/entry';
import { expect, test } from 'vitest';
import { openFixture } from './support/open-fixture.ts';
import { refuseRows } from './support/refuse-rows.ts';
import { cleanExit } from './support/start-processor.ts';
import { record, records, send, sendFields } from './support/telemetry.ts';

test('the log names every entry id, with one line per batch rather than per entry', async () => {
  await using fixture = await openFixture();
  await refuseRows(fixture.sql, 'refused', '23514');
  const good = await send(fixture.redis, fixture.stream, records(1000));
  const [refused] = await send(fixture.redis, fixture.stream, [record({ deviceId: 'refused' })]);
  const [garbage] = await sendFields(fixture.redis, fixture.stream, [encodeFields(record()).slice(0, 4)]);
  const deadLettered = new Map([
    [refused?.id ?? '', 'row_refused'],
    [garbage?.id ?? '', 'missing_field'],
  ]);
  const sent = [...good, ...(refused ? [refused] : []), ...(garbage ? [garbage] : [])];
  const processor = await fixture.start();
  await fixture.expectStored(sent, { deadLettered });

  expect(await processor.stop()).toEqual(cleanExit);

  const batches = processor.lines.filter(({ msg }) => msg === 'batch done');
  const loggedIds = batches.flatMap(({ ids }) => idsIn(ids));
  expect(new Set(loggedIds)).toEqual(new Set(sent.map(({ id }) => id)));
  expect(loggedIds.length).toBe(sent.length);
  const rejected = batches.flatMap(({ rejectedIds }) => idsIn(rejectedIds));
  expect(new Set(rejected)).toEqual(new Set(deadLettered.keys()));
  for (const [id, reason] of deadLettered) {
    const line = processor.lines.find(
      ({ msg, ids }) => msg === 'entries dead-lettered' && String(ids).includes(id),
    );
    expect(line).toMatchObject({ level: 'warn', reason });
  }

  expect(new Set(batches.map(({ level }) => level))).toEqual(new Set(['debug']));
  const infoMessages = processor.lines.filter(({ level }) => level === 'info').map(({ msg }) => msg);
  expect(infoMessages).toEqual(expect.arrayContaining(['starting', 'reading stream', 'stopping', 'ended']));
  expect(infoMessages.length).toBeLessThan(20);
  const log = processor.lines.map((line) => JSON.stringify(line)).join('\n');
  // Positions are personal data.
  for (const { position } of good) expect(log).not.toContain(position?.deviceId);
  expect(log).not.toContain('"latitude"');
});

function idsIn(lists: unknown): readonly string[] {
  return Array.isArray(lists) ? lists.flatMap((list) => String(list).split(' ')) : [];
}
