import type { DocumentedMetric } from './documented-metrics.ts';
import { readMetric, readSeries } from './read-metric.ts';

/** The largest value seen of each series, for metrics with a prefix. */
export class MetricsSeen {
  readonly #series: RegExp;
  /** By name and labels. */
  readonly #largest = new Map<string, number>();

  /** @param prefix lower-case letters and underscores: `processor_`. */
  constructor(prefix: string) {
    this.#series = new RegExp(`^(${prefix}[^#]*) (\\S+)$`, 'u');
  }

  /** @param exposition the text of `/metrics`. */
  add(exposition: string): void {
    for (const line of exposition.split('\n')) {
      const [, series, value] = this.#series.exec(line) ?? [];
      if (series === undefined || value === 'Nan') continue;
      this.#largest.set(series, Math.max(Number(value), this.#largest.get(series) ?? 0));
    }
  }

  /** As an exposition. */
  get text(): string {
    return [...this.#largest].map(([series, value]) => `${series} ${value}`).join('\n');
  }
}

/** Lists series of a documented metric that never moved, and labels and values that are not documented. */
export function whatIsMissing(
  { name, type, labels }: DocumentedMetric,
  exposition: string,
): readonly string[] {
  const parts = type === 'histogram' ? [`${name}_count`, `${name}_sum`] : [name];
  const [first = name] = parts;
  const isMoved = (part: string, wanted?: Record<string, string>): boolean =>
    (readMetric(exposition, part, wanted) ?? 0) > 0;
  const problems = parts.filter((part) => !isMoved(part)).map((part) => `${part} was never moved`);
  const seen = labelsOf(exposition, first);
  for (const label of new Set([...labels.keys(), ...seen.keys()])) {
    const values = seen.get(label) ?? new Set();
    if (!labels.has(label) || values.size === 0)
      problems.push(`${name}: ${label} is either not documented or never exported`);
    const listed = labels.get(label);
    for (const value of listed ?? []) {
      if (!isMoved(first, { [label]: value })) problems.push(`${name}: ${value} was never moved`);
    }
    for (const value of listed === undefined ? [] : values) {
      if (!listed?.includes(value)) problems.push(`${name}: ${value} is not documented`);
    }
  }
  return problems;
}

/** Values by label of a metric's series. */
function labelsOf(exposition: string, name: string): ReadonlyMap<string, ReadonlySet<string>> {
  const seen = new Map<string, Set<string>>();
  for (const series of readSeries(exposition).filter((each) => each.name === name)) {
    for (const [label, value] of series.labels) seen.set(label, (seen.get(label) ?? new Set()).add(value));
  }
  return seen;
}
