import { defaultThresholds, type Thresholds } from '@app/race/thresholds';

/** What an event sets, and the defaults for the rest. What cannot be used is reported by a sentence. */
export function readThresholds(what: string, value: unknown, report: (message: string) => void): Thresholds {
  if (value === null || value === undefined) return defaultThresholds;
  if (typeof value !== 'object' || Array.isArray(value)) {
    report(`The thresholds of ${what} are no JSON object; the defaults are used.`);
    return defaultThresholds;
  }
  const unknownName = Object.keys(value).find((name) => !Object.hasOwn(defaultThresholds, name));
  if (unknownName !== undefined) {
    const known = Object.keys(defaultThresholds).join(', ');
    report(
      `The thresholds of ${what} have the unknown name ${unknownName.slice(0, 40)}; the known ones are ${known}.`,
    );
  }
  const thresholds = Object.entries(defaultThresholds).map(([name, fallback]: [string, number]) => {
    const threshold: unknown = Object.hasOwn(value, name) ? Reflect.get(value, name) : fallback;
    if (typeof threshold === 'number' && threshold >= 0) return [name, threshold];
    report(`The threshold ${name} of ${what} is no number of at least 0; the default ${fallback} is used.`);
    return [name, fallback];
  });
  return { ...defaultThresholds, ...Object.fromEntries(thresholds) };
}
