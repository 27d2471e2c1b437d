export interface Series {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** The series in Prometheus' text format. */
export function readSeries(exposition: string): readonly Series[] {
  return [...exposition.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gmu)].map(
    ([, name = '', labels = '', value]) => ({
      name,
      labels: new Map(
        [...labels.matchAll(/(\w+)="([^"]*)"/gu)].map(([, label = '', text = '']) => [label, text]),
      ),
      value: Number(value),
    }),
  );
}

/** The value of a metric, summed over the series with all the given labels; undefined if there is no such series. */
export function readMetric(
  exposition: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const wanted = Object.entries(labels);
  return readSeries(exposition)
    .filter((series) => series.name === name)
    .filter((series) => wanted.every(([label, value]) => series.labels.get(label) === value))
    .reduce<number | undefined>((sum = 0, { value }) => sum + value, undefined);
}
