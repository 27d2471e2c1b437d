import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { eventually } from '@app/test-kit/eventually';
import { peakRssBytes, processCpuUs } from '../process-usage.ts';
import { startProcessor } from '../processor/run-processor.ts';
import type { BenchServers } from '../servers.ts';
import { type LongRace, longRace } from './long-race.ts';
import { openRace } from './open-race.ts';

export interface StartUp {
  readonly entries: number;
  readonly hours: number;
  readonly fixes: number;
  /** From the start of the processor until all results are in the tables. */
  readonly seconds: number;
  readonly nodeSeconds: number;
  readonly postgresSeconds: number;
  readonly peakRssBytes: number;
}

/** Starts a processor on a running event with hours of stored fixes. */
export async function benchStartUp(
  servers: BenchServers,
  { entries, hours }: { readonly entries: number; readonly hours: number },
  print: (line: string) => void,
): Promise<StartUp> {
  const { sql, redisUrl, postgresUrl, keyPrefix } = servers;
  const long = longRace(entries, hours);
  await using _race = await openRace(servers, long.race, 'running');
  const fixes = entries * hours * 3600;
  print(`start-up: loading ${fixes} fixes`);
  await sql`truncate positions`;
  const into = await sql`
    copy positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, attributes)
    from stdin`.writable();
  await pipeline(Readable.from(copyLines(long)), into);
  // Or autovacuum would do it meanwhile.
  await sql`vacuum analyze positions`;

  const cpuAtStart = await servers.cpuUs();
  const startedAtMs = performance.now();
  await using processor = await startProcessor(redisUrl, postgresUrl, `${keyPrefix}start-up`);
  await eventually(
    async () => {
      if (!processor.isRunning) throw await processor.exitError();
      const failed = processor.lines.find(({ level }) => level === 'warn' || level === 'error');
      if (failed) throw new Error(JSON.stringify(failed));
      const [row] = await sql<{ revision: number }[]>`
        select revision::int as revision from evaluations where event_id = ${long.race.event.id}`;
      return (row?.revision ?? 0) > 0;
    },
    { timeoutMs: 600_000, intervalMs: 50 },
  );
  const seconds = (performance.now() - startedAtMs) / 1000;
  const cpu = await servers.cpuUs();
  const [stored] = await sql<{ finished: number }[]>`
    select count(*)::int as finished from stage_results where event_id = ${long.race.event.id} and gates_passed > 0`;
  if (stored?.finished !== entries) throw new Error(`${stored?.finished} of ${entries} entries have results`);
  const result = {
    entries,
    hours,
    fixes,
    seconds,
    nodeSeconds: processCpuUs(processor.pid) / 1e6,
    postgresSeconds: (cpu.postgres - cpuAtStart.postgres) / 1e6,
    peakRssBytes: peakRssBytes(processor.pid),
  };
  print(`start-up: ${seconds.toFixed(1)} s, ${(result.peakRssBytes / 2 ** 20).toFixed(0)} MiB`);
  await sql`truncate positions`;
  return result;
}

/** As many attributes as a tracker sends, with HDOP as IO element 182. */
const attributes = JSON.stringify({
  ...Object.fromEntries(Array.from({ length: 18 }, (_, index) => [String(200 + index), 1000 + index * 37])),
  '182': 8,
});

function* copyLines({ race, drive }: LongRace): Generator<string> {
  for (const [vehicle, { deviceId }] of race.assignments.entries()) {
    const lines: string[] = [];
    for (const { fixAtMs, latitude, longitude, speedKmh } of drive(vehicle)) {
      const ts = new Date(fixAtMs).toISOString();
      lines.push(
        `${[deviceId, ts, latitude, longitude, 100, 90, speedKmh, 12, 0, '8E', attributes].join('\t')}\n`,
      );
    }
    yield lines.join('');
  }
}
