import { circuit, village } from './circuit.ts';
import type { DriveOptions } from './drive.ts';
import type { RoadPlan } from './road.ts';

/** What happens to one entry. Distances are along the road from the start line. */
export interface Incident {
  /** Start number of the entry. */
  readonly number: number;
  readonly description: string;
  /** The road that the entry drives, where it is not the circuit. */
  readonly plan?: RoadPlan;
  readonly stop?: DriveOptions['stop'];
  /** Where the panic button is pressed. */
  readonly panicAtM?: number;
  /** From where on the tracker has no mobile network, and for how long. */
  readonly outage?: { readonly fromM: number; readonly forS: number };
  /** By how much the clock of a second tracker in the car differs. */
  readonly secondClockErrorMs?: number;
  /** The row of the results that follows from it, and where the entry has been when it must be there. */
  readonly expected?: {
    readonly kind: 'missed waypoint' | 'speeding' | 'stop' | 'SOS';
    /** The stage and, if it is about one, the waypoint or zone. */
    readonly at: string;
    readonly afterM: number;
    /** So long after having been there. */
    readonly afterS?: number;
  };
}

const stop = { atM: 1900, forS: 90 };
const sosAtM = 3600;

/** The same for every seed, and for entries that start early, so that small races have them too. */
export const incidents: readonly Incident[] = [
  {
    number: 2,
    description: 'cuts a corner and misses WP 2 of SS 1',
    plan: { ...circuit, waypoints: circuit.waypoints.filter((_, index) => index !== 2) },
    expected: { kind: 'missed waypoint', at: 'SS 1 WP 2', afterM: 1000 },
  },
  {
    number: 3,
    description: 'drives through the Village of SS 2 at full speed',
    plan: { ...circuit, speedLimits: [] },
    expected: { kind: 'speeding', at: 'SS 2 Village', afterM: village.toM },
  },
  {
    number: 4,
    description: 'stops on SS 1 for 90 s',
    stop,
    expected: { kind: 'stop', at: 'SS 1', afterM: stop.atM - 1, afterS: 61 },
  },
  {
    number: 5,
    description: 'sends an SOS from SS 2',
    panicAtM: sosAtM,
    expected: { kind: 'SOS', at: '', afterM: sosAtM },
  },
  {
    number: 6,
    description: 'has no network for 2 min on SS 1 and SS 2, then sends what it recorded, newest first',
    outage: { fromM: 1000, forS: 120 },
  },
  { number: 7, description: 'has a second tracker, whose clock is 400 ms late', secondClockErrorMs: -400 },
];
