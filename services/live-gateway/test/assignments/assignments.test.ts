import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { indexAssignments } from '../../src/assignments/assignments.ts';
import type { AssignmentRow } from '../../src/assignments/assignments.ts';
import { diffAssignments } from '../../src/assignments/diff-assignments.ts';
import { UnassignedDevices } from '../../src/assignments/unassigned-devices.ts';

const row = fc.record({
  eventId: fc.constantFrom('event-1', 'event-2', 'event-3'),
  deviceId: fc.constantFrom('id-1', 'id-2'),
  imei: fc.constantFrom('imei-1', 'imei-2', 'imei-3'),
});
const rows = fc.array(row, { maxLength: 20 });

/** Event → IMEI → id, as plain data. */
function flat(assignments: ReturnType<typeof indexAssignments>): Record<string, Record<string, string>> {
  return Object.fromEntries(
    [...assignments.devicesByEvent].map(([eventId, devices]) => [
      eventId,
      Object.fromEntries([...devices.values()].map(({ imei, id }) => [imei, id])),
    ]),
  );
}

describe('assignments', () => {
  test('agree by event and by device, whatever the order and repetition of the rows', () => {
    fc.assert(
      fc.property(rows, (given) => {
        const assignments = indexAssignments(given);
        expect(flat(indexAssignments([...given, ...given].toReversed()))).toEqual(flat(assignments));
        const byDevice = [...assignments.eventsByImei].flatMap(([imei, events]) =>
          events.map((eventId) => `${eventId} ${imei}`),
        );
        const byEvent = [...assignments.devicesByEvent].flatMap(([eventId, devices]) =>
          [...devices.keys()].map((imei) => `${eventId} ${imei}`),
        );
        expect(byDevice.toSorted()).toEqual(byEvent.toSorted());
        expect(new Set(byDevice).size).toBe(byDevice.length);
      }),
    );
  });

  test('equal the previous ones with the diff applied', () => {
    fc.assert(
      fc.property(rows, rows, (before, after) => {
        const from = indexAssignments(before);
        const to = indexAssignments(after);
        const patched = new Map(
          [...new Set([...from.devicesByEvent.keys(), ...to.devicesByEvent.keys()])].map((eventId) => [
            eventId,
            new Map(from.devicesByEvent.get(eventId)),
          ]),
        );
        for (const [eventId, { added, removed }] of diffAssignments(from, to)) {
          for (const device of removed) patched.get(eventId)?.delete(device.imei);
          for (const device of added) patched.get(eventId)?.set(device.imei, device);
        }
        for (const [eventId, devices] of patched) {
          expect([...devices.values()].toSorted(byImei)).toEqual(
            [...(to.devicesByEvent.get(eventId)?.values() ?? [])].toSorted(byImei),
          );
        }
        expect(diffAssignments(to, to).size).toBe(0);
      }),
    );
  });

  test('contain the smaller id of two devices with the same IMEI', () => {
    const claims: readonly AssignmentRow[] = [
      { eventId: 'e', deviceId: 'id-2', imei: 'x' },
      { eventId: 'e', deviceId: 'id-1', imei: 'x' },
    ];
    expect(flat(indexAssignments(claims))).toEqual({ e: { x: 'id-1' } });
  });
});

describe('unassigned devices', () => {
  test('are counted per fix, and reported once until they have been assigned', () => {
    let count = 0;
    const reported: string[] = [];
    const unassigned = new UnassignedDevices({
      count: () => (count += 1),
      report: (imei) => reported.push(imei),
    });
    for (const imei of ['a', 'b', 'a', 'a']) unassigned.note(imei);
    expect(count).toBe(4);
    expect(reported).toEqual(['a', 'b']);
    unassigned.forget((imei) => imei === 'a');
    unassigned.note('a');
    unassigned.note('b');
    expect(reported).toEqual(['a', 'b', 'a']);
  });
});

function byImei(a: { readonly imei: string }, b: { readonly imei: string }): number {
  return a.imei < b.imei ? -1 : 1;
}
