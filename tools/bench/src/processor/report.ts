import type { ProcessorResults } from './bench-processor.ts';

/** The results as Markdown: tables, and a chart of what a position costs. */
export function processorReport(results: ProcessorResults): string {
  const { machine, drain, latency, cost } = results;
  const latencies = Object.values(latency);
  const main = cost.bySteps[0];
  return `# Benchmarks

\`./run bench processor\` measures this anywhere; \`--docs\` writes this page. Ratios are against peers in the same run,
for machines differ and are noisy.

## The processor

| | |
| --- | --- |
| machine | ${machine.cpu}, ${machine.cores} cores shared by all that runs, ${machine.memoryGiB} GiB |
| system | ${machine.os} |
| versions | Node ${machine.node}, Redis ${machine.redis}, PostgreSQL ${machine.postgres}, TimescaleDB ${machine.timescaledb} |
| durability | fsync ${machine.fsync}, synchronous_commit ${machine.synchronousCommit} |
| records | ${whole(drain.entries)} of ${whole(drain.devices)} devices, ${main?.attributes ?? '?'} attributes on average, ${drain.conflictPercent} % repeated |

### Drain of a backlog

| | positions/s | |
| --- | ---: | --- |
| raw limit | ${whole(drain.rawRowsPerS)} | a bare loop: the same rows, in memory, the same statement and concurrency |
| **processor** | **${whole(drain.positionsPerS)}** | **${drain.ratioToRaw.toFixed(2)} of the raw limit** |
| naive consumer | ${whole(drain.naivePositionsPerS)} | COUNT 100, zod, multi-row VALUES, await, XACK; the processor is ${one(drain.ratioToNaive)} times as fast |

Medians of ${drain.rounds.length} round(s), in which the three took turns.

### Latency from XADD to the commit

| sent per second | p50 | p99 | p99.9 |
| ---: | ---: | ---: | ---: |
${latencies.map(({ ratePerS, p50Ms, p99Ms, p999Ms }) => `| ${whole(ratePerS)} | ${one(p50Ms)} ms | ${one(p99Ms)} ms | ${one(p999Ms)} ms |`).join('\n')}

The generator is a process of its own and waits for nobody; the commit's time is Postgres' commit timestamp.

### Cost of a position

${one(cost.cpuUsPerPosition)} µs of CPU in the processor over the drain, start included; ${whole(cost.peakRssBytes / 2 ** 20)} MiB resident at its end.
By step, in µs of CPU, and a device's state in bytes:

| devices | attributes | read | decode | write | state | ack | state bytes/device |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${cost.bySteps.map((row) => `| ${whole(row.devices)} | ${row.attributes} | ${one(row.readUs)} | ${one(row.decodeUs)} | ${one(row.writeUs)} | ${one(row.stateUs)} | ${one(row.ackUs)} | ${whole(row.stateBytesPerDevice)} |`).join('\n')}

\`\`\`mermaid
xychart-beta
  title "positions per second"
  x-axis ["naive", "processor", "raw limit"]
  y-axis "positions/s"
  bar [${Math.round(drain.naivePositionsPerS)}, ${Math.round(drain.positionsPerS)}, ${Math.round(drain.rawRowsPerS)}]
\`\`\`
`;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function one(value: number): string {
  return value.toFixed(1);
}
