/**
 * The value of a metric in Prometheus' text format, summed over the series that bear all the given labels;
 * undefined where there is no such series: not known, or never moved.
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
    const borne = seriesLabels.split(',');
    if (wanted.every((label) => borne.includes(label))) sum = (sum ?? 0) + readNumber(value);
  }
  return sum;
}

function readNumber(text: string | undefined): number {
  return text === 'Nan' ? Number.NaN : Number(text);
}
