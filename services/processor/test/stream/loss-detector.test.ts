import * as fc from 'fast-check';
import { expect, test } from 'vitest';
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
