import { setInterval as every } from 'node:timers/promises';
import { eventTopic } from '@app/shared/topics';
import { describeRace } from './describe-race.ts';
import { readSettings, type SpectatorSettings } from './read-settings.ts';
import { watchEvent } from './watch-event.ts';

const printIntervalMs = 5_000;

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
  const ended = new AbortController();
  using client = await watchEvent({ ...settings, onEnd: (ending) => ended.abort(ending) });
  const signal = AbortSignal.any([stop, ended.signal]);
  try {
    for await (const _ of every(printIntervalMs, undefined, { signal })) {
      const positions = client.positions.get(eventTopic(settings.eventId))?.values() ?? [];
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
