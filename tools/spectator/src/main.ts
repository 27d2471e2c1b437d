import { setInterval as every } from 'node:timers/promises';
import { eventTopic, resultsTopic } from '@app/shared/topics';
import { describeRace } from './describe-race.ts';
import { describeResults } from './describe-results.ts';
import { logIn } from './log-in.ts';
import { readNames, type RaceNames } from './read-names.ts';
import { readSettings, type SpectatorSettings } from './read-settings.ts';
import { watchEvent } from './watch-event.ts';

const printIntervalMs = 5_000;
/** Results are printed at most this often, and only if they have changed. */
const printResultsIntervalMs = 60_000;

process.exitCode = await main();

async function main(): Promise<number> {
  const read = readSettings(process.env);
  if ('problems' in read) {
    for (const problem of read.problems) console.error(`spectator: ${problem}`);
    return 78;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  try {
    return await watch(read.settings, stop.signal);
  } catch (error) {
    // Exit; the supervisor restarts it. Directus may not be ready yet.
    console.error(`spectator: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

async function watch(settings: SpectatorSettings, stop: AbortSignal): Promise<number> {
  const { directusUrl, eventId } = settings;
  const ended = new AbortController();
  const cookie = await logIn(directusUrl, settings);
  const topics = [eventTopic(eventId), resultsTopic(eventId)];
  const signal = AbortSignal.any([stop, ended.signal]);
  using client = watchEvent({
    ...settings,
    topics,
    cookie,
    onEnd: (ending) => ended.abort(ending),
    onFailure: (message) => {
      if (!signal.aborted) console.error(`spectator: ${message}`);
    },
  });
  let names: RaceNames = { entries: new Map(), stages: new Map() };
  let printed = '';
  let printAtMs = -Infinity;
  try {
    for await (const _ of every(printIntervalMs, undefined, { signal })) {
      const results = client.results.get(resultsTopic(eventId));
      if (results !== undefined && results.size > 0 && performance.now() >= printAtMs) {
        printAtMs = performance.now() + printResultsIntervalMs;
        // While Directus does not answer, the names of before are shown.
        names = await readNames(directusUrl, cookie, eventId).catch(() => names);
        const table = describeResults(results, names).join('\n');
        if (table !== printed) console.log(table);
        printed = table;
      }
      const positions = client.positions.get(eventTopic(eventId))?.values() ?? [];
      const state = client.state === 'live' ? '' : `${client.state}: `;
      console.log(
        `${new Date().toISOString().slice(11, 19)}  ${state}${describeRace(positions, Date.now())}`,
      );
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (stop.aborted) return 0;
  console.error(`spectator: connection ended: ${JSON.stringify(ended.signal.reason)}`);
  return 1;
}
