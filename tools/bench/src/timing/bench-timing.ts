import { timeCrossings, type Timing } from '@app/geometry/testing/time-crossings';
import type { Benchmark, Outcome } from '../benchmark.ts';
import { formatNumber } from '../format-number.ts';
import { quantile } from '../quantile.ts';
import { goalTable, markdownTable } from '../report.ts';
import { timeRecordedCrossings } from './time-recorded-crossings.ts';

interface Accuracy {
  readonly crossings: number;
  readonly medianMs: number;
  readonly p95Ms: number;
  readonly maxMs: number;
  /** Of the stated ±. */
  readonly medianUncertaintyMs: number;
  /** Of the truths that are within it. */
  readonly insideShare: number;
}

interface Row extends Accuracy {
  readonly intervalS: number;
  readonly noiseM: number;
}

const intervalsS = [0.2, 0.5, 1, 2, 5, 10, 20, 30];
const recordedIntervalsS = [2, 5, 10, 20, 30];
const noisesM = [0, 1];
const motions = {
  steady: { steadyKmh: 110 },
  any: { maxMs2: 5 },
} as const;

const goals = { medianMs: 2, noisyMedianMs: 20, noisyP95Ms: 60, insideShare: 0.95 } as const;

export const benchTiming: Benchmark = {
  measures: 'error of the crossing time by fix interval, and whether it is within the stated ±',
  takes: 'half a minute, with --quick a few seconds',
  run: runTimingBenchmark,
};

/** Seeded: every machine gets the same numbers. */
async function runTimingBenchmark(isQuick: boolean, print: (line: string) => void): Promise<Outcome> {
  const crossings = isQuick ? 500 : 10_000;
  const measure = (name: keyof typeof motions): readonly Row[] => {
    print(`${crossings} crossings of analytic tracks for each interval, ${name} speed`);
    return intervalsS.flatMap((intervalS) =>
      noisesM.map((noiseM) => {
        const scenario = { seed: 14, crossings, intervalS, noiseM, ...motions[name] };
        return Object.assign({ intervalS, noiseM }, accuracyOf(timeCrossings(scenario)));
      }),
    );
  };
  const steady = measure('steady');
  const any = measure('any');
  print('crossings of recorded tracks');
  const timed = await timeRecordedCrossings(recordedIntervalsS, isQuick ? 997 : 31);
  const recorded = [...timed].map(([intervalS, { timings, missed }]) =>
    Object.assign({ intervalS, missed }, accuracyOf(timings)),
  );
  const results = { crossings, steady, any, recorded };
  return { results, section: section(results), charts: {} };
}

function accuracyOf(timings: readonly Timing[]): Accuracy {
  const errorsMs = timings.map(({ errorMs }) => errorMs);
  const inside = timings.filter(({ errorMs, uncertaintyMs }) => errorMs <= uncertaintyMs);
  return {
    crossings: timings.length,
    medianMs: quantile(errorsMs, 0.5),
    p95Ms: quantile(errorsMs, 0.95),
    maxMs: quantile(errorsMs, 1),
    medianUncertaintyMs: quantile(
      timings.map(({ uncertaintyMs }) => uncertaintyMs),
      0.5,
    ),
    insideShare: inside.length / timings.length,
  };
}

function section(results: {
  readonly crossings: number;
  readonly steady: readonly Row[];
  readonly any: readonly Row[];
  readonly recorded: readonly (Accuracy & { readonly intervalS: number; readonly missed: number })[];
}): string {
  const { crossings, steady, any, recorded } = results;
  const at1Hz = (noise: number) =>
    steady.find(({ intervalS, noiseM }) => intervalS === 1 && noiseM === noise);
  const insideShare = Math.min(...[...steady, ...any].map((row) => row.insideShare));
  return `## Timing

How far the computed time of a crossing is from the true one, by the time between two fixes. Seeded, so every machine gets the same
numbers.

${goalTable([
  {
    name: '1 Hz, 110 km/h, no noise: median ms',
    measured: at1Hz(0)?.medianMs ?? Number.NaN,
    atMost: goals.medianMs,
  },
  {
    name: '1 Hz, 110 km/h, 1 m of noise: median ms',
    measured: at1Hz(1)?.medianMs ?? Number.NaN,
    atMost: goals.noisyMedianMs,
  },
  {
    name: '1 Hz, 110 km/h, 1 m of noise: p95 ms',
    measured: at1Hz(1)?.p95Ms ?? Number.NaN,
    atMost: goals.noisyP95Ms,
  },
  {
    name: 'truths inside the stated ±, in every row of analytic tracks: share',
    measured: insideShare,
    atLeast: goals.insideShare,
  },
])}

### Analytic tracks

${formatNumber(crossings)} crossings each, at right angles, of which the true time is known in closed form. Speeds are reported in whole km/h. The noise is normal, of
1 m an axis, and independent from fix to fix; that of a receiver changes slowly, which shifts a time but hardly its neighbours. ± is
the median of the stated uncertainties. The greatest errors are of vehicles that stop with the gate within the noise. Milliseconds.

At 110 km/h:

${accuracyTable(steady)}

Any motion up to 180 km/h, with another acceleration of up to 5 m/s² every few seconds:

${accuracyTable(any)}

### Recorded tracks

Flights recorded at 1 Hz (test files of \`igc-xc-score\`), faster than 36 km/h. Fixes are left out, and the crossing is compared with that of the
full track, which is not the truth but near it: both share the error of the receiver and coordinates in steps of 1.9 m, and both have speeds
computed from the places. Gliders circle and bend more than cars; a gate that the straight movement does not cross any more is missed.

${markdownTable(
  ['fixes every s', 'crossings', 'missed', 'median', 'p95', 'max', '±', 'inside ± %'],
  recorded.map((row) => [
    row.intervalS,
    row.crossings,
    row.missed,
    row.medianMs,
    row.p95Ms,
    row.maxMs,
    row.medianUncertaintyMs,
    row.insideShare * 100,
  ]),
)}`;
}

function accuracyTable(rows: readonly Row[]): string {
  const names = ['median', 'p95', 'max', '±', 'inside ± %'];
  return markdownTable(
    [
      'fixes every s',
      ...noisesM.flatMap((noiseM) => names.map((name) => (noiseM === 0 ? name : `${name}, noise`))),
    ],
    intervalsS.map((interval) =>
      [interval].concat(
        rows
          .filter(({ intervalS }) => intervalS === interval)
          .flatMap((row) => [
            row.medianMs,
            row.p95Ms,
            row.maxMs,
            row.medianUncertaintyMs,
            row.insideShare * 100,
          ]),
      ),
    ),
  );
}
