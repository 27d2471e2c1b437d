// CPU of the rules, without Redis and Postgres, and the memory that they keep of a device.
import { toLocal, prepareFrame } from '@app/geometry/local-frame';
import { checkCourse } from '@app/race/check-course';
import { addFix, startTrack, type DeviceTrack } from '@app/race/device-track';
import { evaluateRace } from '@app/race/evaluate-race';
import type { Fix } from '@app/race/fix';
import { z } from 'zod';
import { longRace } from './long-race.ts';
import { seededFixes, seededRace } from './seeded-race.ts';

export interface EvaluateOptions {
  readonly entries: number;
  readonly hours: number;
  readonly rounds: number;
}

/** Microseconds of CPU a fix, of one round. */
const costs = z.object({ rawUs: z.number(), scratchUs: z.number(), liveUs: z.number() });

/** The line that the program prints. */
export const evaluated = z.object({
  seeded: z.array(costs),
  long: z.array(costs),
  /** By hours driven: kept of a device, in bytes. */
  memory: z.array(z.object({ hours: z.number(), bytesPerDevice: z.number() })),
});

type Race = ReturnType<typeof seededRace>;
type FixesByDevice = ReadonlyMap<string, readonly Fix[]>;

const windowMs = 60_000;

function measure(race: Race, fixes: FixesByDevice): z.output<typeof costs> {
  const { prepared } = checkCourse(race);
  const count = [...fixes.values()].reduce((sum, { length }) => sum + length, 0);
  const newestMs = Math.max(...[...fixes.values()].map((ofDevice) => ofDevice.at(-1)?.fixAtMs ?? 0));
  return {
    rawUs: cpuUs(() => projectAll(fixes)) / count,
    scratchUs: cpuUs(() => evaluateRace(race, fixes, newestMs)) / count,
    liveUs:
      cpuUs(() => {
        for (const ofDevice of fixes.values()) {
          const track = startTrack(prepared);
          for (const fix of ofDevice) addFix(prepared, track, fix, windowMs);
        }
      }) / count,
  };
}

/** The least that any rule has to do: each fix in metres on a plane, and how far it is from the one before. */
function projectAll(fixes: FixesByDevice): number {
  let metres = 0;
  for (const ofDevice of fixes.values()) {
    const [first] = ofDevice;
    if (!first) continue;
    const frame = prepareFrame(first);
    let before = toLocal(frame, first);
    for (const fix of ofDevice) {
      const at = toLocal(frame, fix);
      metres += Math.hypot(at.eastM - before.eastM, at.northM - before.northM);
      before = at;
    }
  }
  return metres;
}

function cpuUs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function bytesPerDevice(entries: number, hours: number): number {
  const { race, drive } = longRace(entries, hours);
  const { prepared } = checkCourse(race);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const tracks: DeviceTrack[] = [];
  for (let vehicle = 0; vehicle < entries; vehicle += 1) {
    const track = startTrack(prepared);
    for (const fix of drive(vehicle)) addFix(prepared, track, fix, windowMs);
    tracks.push(track);
  }
  globalThis.gc?.();
  return (process.memoryUsage().heapUsed - before) / tracks.length;
}

if (import.meta.main) {
  const { entries, hours, rounds }: EvaluateOptions = JSON.parse(process.env['EVALUATE'] ?? '');
  const seeded = { race: seededRace(entries), fixes: seededFixes(entries, hours * 3600) };
  const { race, drive } = longRace(entries, hours);
  const fixes = new Map(race.assignments.map(({ deviceId }, vehicle) => [deviceId, [...drive(vehicle)]]));
  measure(seeded.race, seeded.fixes);
  measure(race, fixes);
  const result: z.output<typeof evaluated> = { seeded: [], long: [], memory: [] };
  for (let round = 0; round < rounds; round += 1) {
    result.seeded.push(measure(seeded.race, seeded.fixes));
    result.long.push(measure(race, fixes));
  }
  // Compiles what is measured next.
  bytesPerDevice(1, hours);
  for (const driven of [6 * hours, 12 * hours])
    result.memory.push({ hours: driven, bytesPerDevice: bytesPerDevice(entries, driven) });
  process.stdout.write(`${JSON.stringify({ evaluated: result })}\n`);
}
