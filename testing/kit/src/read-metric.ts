/**
 * The value of a metric in Prometheus' text format, summed over the series with all the given labels; undefined if
 * there is no such series.
 */
export function readMetric(
  exposition: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  let sum: number | undefined;
  for (const line of exposition.split('\n')) {
    const [, seriesName, seriesLabels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/iu.exec(line) ?? [];
    if (seriesName !== name) continue;
    const present = seriesLabels.split(',');
    if (wanted.every((label) => present.includes(label))) sum = (sum ?? 0) + Number(value);
  }
  return sum;
}
