import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseGroupState } from '../../src/stream/group-state.ts';
import { LossDetector } from '../../src/stream/loss-detector.ts';

test.each([
  ['leaves lost entries out of its counter', false],
  ['corrects its counter at the next read', true],
])(
  'a Redis that %s: never more is reported than was lost, and a single loss exactly',
  (_what, isCorrecting) => {
    const steps = fc.array(fc.tuple(fc.constantFrom('add', 'trim', 'read'), fc.nat(9)));
    fc.assert(
      fc.property(steps, (drawn) => {
        const detector = new LossDetector();
        let [added, delivered, first, entriesRead, lost, reported, losses] = [0, 0, 1, 0, 0, 0, 0];
        for (const [step, count] of drawn) {
          if (step === 'add') added += count;
          if (step === 'trim') {
            const next = Math.min(first + count, added + 1);
            const trimmed = Math.max(0, next - Math.max(first, delivered + 1));
            lost += trimmed;
            losses += trimmed === 0 ? 0 : 1;
            first = next;
          }
          const loss = detector.check({
            firstId: first > added ? undefined : `${first}-0`,
            lastGeneratedId: `${added}-0`,
            length: added - first + 1,
            entriesAdded: added,
            lastDeliveredId: `${delivered}-0`,
            entriesRead,
          });
          reported += loss?.entries ?? 0;
          const from = Math.max(first, delivered + 1);
          const to = Math.min(added, from + count);
          if (step !== 'read' || to < from) continue;
          entriesRead = isCorrecting && first > delivered + 1 ? to : entriesRead + to - from + 1;
          delivered = to;
        }
        expect(reported).toBeLessThanOrEqual(lost);
        const isExact = !isCorrecting || losses === 1;
        expect(reported).toBeGreaterThanOrEqual(isExact ? lost : Math.min(lost, 1));
      }),
    );
  },
);

test('a Redis before 7, which does not count added entries, reports no loss instead of a wrong one', () => {
  const groups = [[...flat({ name: 'processor', 'last-delivered-id': '4-0' })]];
  const info = flat({ 'last-generated-id': '10-0' });
  const stream = [...info, Buffer.from('length'), 3, Buffer.from('first-entry'), [Buffer.from('8-0'), []]];
  const state = parseGroupState(stream, groups, 'processor');
  expect(state).toMatchObject({ entriesAdded: null, entriesRead: null, length: 3 });
  if (state === undefined) throw new Error('no group');
  expect(new LossDetector().check(state)).toBeUndefined();
});

test('after the stream was emptied a loss is counted without what was remembered of the old one', () => {
  const detector = new LossDetector();
  const old = { firstId: '90-0', lastGeneratedId: '100-0', length: 11, entriesAdded: 100 };
  // Redis counts 60 as read; 40 were lost before.
  detector.check({ ...old, lastDeliveredId: '100-0', entriesRead: 60 });
  const fresh = { firstId: '8-0', lastGeneratedId: '10-0', length: 3, entriesAdded: 10 };
  expect(detector.check({ ...fresh, lastDeliveredId: '4-0', entriesRead: 4 })?.entries).toBe(3);
});

function flat(fields: Readonly<Record<string, string>>): readonly Buffer[] {
  return Object.entries(fields)
    .flat()
    .map((each) => Buffer.from(each));
}
