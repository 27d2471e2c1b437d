/**
 * Many clients in a process of their own, so that what they cost is not the server's. Each line on stdin is a command
 * with a number; the line of JSON that answers it bears the same one. Ends when stdin does.
 */
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { AudienceMember } from './audience-member.ts';
import type { Back, Command, Crowd, Heard, Recording } from './audience-process.ts';

const members: AudienceMember[] = [];

interface Numbered {
  readonly number: number;
  readonly command: Command;
}

async function obey(command: Command): Promise<object> {
  switch (command.do) {
    case 'open':
      return await open(command.crowd);
    case 'count':
      for (const member of members) member.counts.reset();
      return {};
    case 'report':
      return report();
    case 'record':
      return await record(command.forMs, command.file);
    case 'stall':
      for (const member of members.slice(0, command.members)) member.stall();
      return {};
    case 'come-back':
      return await comeBack(command.withinMs);
    default:
      throw new Error(`there is no command ${JSON.stringify(command)}`);
  }
}

/** Opens them at an even pace; answers once all of them are live. */
async function open(crowd: Crowd): Promise<{ readonly live: number }> {
  // On machines of their own, as clients are, those who only count would take no time from the server and the readers.
  if (!crowd.readsPositions) setPriority(10);
  const startedAtMs = performance.now();
  const opening: Promise<void>[] = [];
  for (let n = 0; n < crowd.members; n += 1) {
    const member = new AudienceMember(crowd, n);
    members.push(member);
    opening.push(member.open());
    const dueMs = (n / crowd.openPerS) * 1000 - (performance.now() - startedAtMs);
    if (dueMs > 2) await sleep(dueMs);
  }
  await Promise.all(opening);
  return { live: members.filter(({ isLive }) => isLive).length };
}

function report(): Heard {
  const sum = (of: (member: AudienceMember) => number): number =>
    members.reduce((total, member) => total + of(member), 0);
  return {
    frames: sum(({ counts }) => counts.frames),
    bytes: sum(({ counts }) => counts.bytes),
    latenciesMs: members.flatMap(({ counts }) => counts.latenciesMs),
    closed: sum(({ isClosed }) => (isClosed ? 1 : 0)),
  };
}

/** Writes down every frame that they get, and when. */
async function record(forMs: number, file: string): Promise<object> {
  const frames: Recording['frames'][number][] = [];
  const startedAtMs = performance.now();
  for (const [client, member] of members.entries()) {
    member.onFrame = (frame) =>
      frames.push({ atMs: performance.now() - startedAtMs, client, text: frame.toString() });
  }
  await sleep(forMs);
  for (const member of members) member.onFrame = undefined;
  const recording: Recording = { forMs, clients: members.length, frames };
  await writeFile(file, JSON.stringify(recording));
  return { frames: frames.length };
}

/** Cuts all of them at once, and has them come back, spread over this time, with what they need to resume. */
async function comeBack(withinMs: number): Promise<Back> {
  for (const member of members) member.cut();
  const startedAtMs = performance.now();
  const lives = members.map(async (member, n) => {
    await sleep((n / members.length) * withinMs);
    await member.open();
    return performance.now() - startedAtMs;
  });
  const liveAfterMs = await Promise.all(lives);
  return {
    liveAfterMs: Math.max(...liveAfterMs),
    recovered: members.filter(({ hasRecovered }) => hasRecovered).length,
  };
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { number, command }: Numbered = JSON.parse(line);
  obey(command).then(
    (answer) => process.stdout.write(`${JSON.stringify({ number, answer })}\n`),
    (error: unknown) => process.stdout.write(`${JSON.stringify({ number, failure: String(error) })}\n`),
  );
});
lines.on('close', () => {
  for (const member of members) member.cut();
});
