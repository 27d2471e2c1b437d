/**
 * Sums a metric's samples in Prometheus' text format, over those that bear all the
 * given labels. Undefined where there is none: not yet moved, or not known.
 */
export function sumMetric(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  let sum: number | undefined;
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (match?.[1] !== name) continue;
    const borne = match[2] ?? '';
    const isMeant = Object.entries(labels).every(([label, value]) => borne.includes(`${label}="${value}"`));
    if (isMeant) sum = (sum ?? 0) + Number(match[3]);
  }
  return sum;
}
