import { sqlState } from '@app/runtime/postgres';
import { compareEntryIds } from '@app/shared/entry';
import type { Life } from './life.ts';
import { oursState } from './postgres-gate.ts';
import type { Scene } from './scene.ts';
import { isParked, isStored, keyOf, type Evidence } from './witness.ts';

/** Compares what is left after a run with what was sent: the promise of docs/architecture.md, clause by clause. */
export async function judgeRun(scene: Scene, lives: readonly Life[], last: Life): Promise<void> {
  const evidence = await scene.gatherEvidence();
  for (const { cause } of evidence.letters) scene.count(`parked: ${cause.dlq_reason}`);
  scene.count('stored', evidence.rows.size);
  judgeEntries(scene, lives, evidence);
  judgeRows(scene, evidence);
  judgeLetters(scene, evidence);
  judgeDomain(scene, lives, evidence);
  judgeLives(scene, lives, last);
  await judgeLosses(scene, lives);
}

/** Each entry is stored or parked, unless it left the stream before anyone who lived on had received it. */
function judgeEntries(scene: Scene, lives: readonly Life[], evidence: Evidence): void {
  const survivors = lives.filter(({ ending }) => ending === 'stopped');
  for (const entry of scene.ledger.sent.values()) {
    if (isStored(entry, evidence) || isParked(entry, evidence)) continue;
    const hadReceived = survivors.find(({ received }) => received.has(entry.id));
    if (!scene.ledger.removed.has(entry.id)) {
      scene.accuse(`${entry.id} (${entry.content}) is neither stored nor parked`);
    } else if (hadReceived !== undefined) {
      scene.accuse(`${entry.id} (${entry.content}) is lost, though ${hadReceived.name} had received it`);
    }
  }
}

/** Each row is an entry that was sent and can be stored. */
function judgeRows(scene: Scene, { rows }: Evidence): void {
  const storable = new Set<string>();
  for (const entry of scene.ledger.sent.values()) {
    if (entry.isStorable) storable.add(`${keyOf(entry)} ${entry.content}`);
  }
  for (const [key, content] of rows) {
    if (!storable.has(`${key} ${content}`))
      scene.accuse(`positions holds ${key} ${content}, which was never sent`);
  }
}

/** Each dead letter has the bytes of its entry and a reason that is true. */
function judgeLetters(scene: Scene, { rows, letters }: Evidence): void {
  for (const { cause, fields } of letters) {
    const { dlq_entry_id: entryId, dlq_reason: reason } = cause;
    const entry = scene.ledger.sent.get(entryId);
    if (entry === undefined) {
      scene.accuse(`the dead letters hold ${entryId}, which was never sent`);
      continue;
    }
    if (!Buffer.concat(fields).equals(Buffer.concat(entry.fields))) {
      scene.accuse(`the dead letter of ${entryId} has not the bytes of its entry`);
    }
    const hasTrueReason =
      reason === 'ended_process' ? scene.attemptsAt(entryId) > 2 : entry.reasons.includes(reason);
    if (!hasTrueReason) scene.accuse(`${entryId} (${entry.content}) is parked as ${reason}, which is not so`);
    if (reason === 'same_time') {
      const stored = rows.get(keyOf(entry));
      if (stored === undefined || stored === entry.content) {
        scene.accuse(`${entryId} (${entry.content}) is parked as same_time beside ${stored ?? 'nothing'}`);
      }
    }
  }
}

/** Each stored fix was heard, in reading order; the newest good one of each device as a step forward. */
function judgeDomain(scene: Scene, lives: readonly Life[], evidence: Evidence): void {
  const newest = new Map<string, number>();
  for (const entry of scene.ledger.sent.values()) {
    if (!isStored(entry, evidence)) continue;
    if (!scene.wasHeard(entry) && !scene.ledger.removed.has(entry.id) && !isParked(entry, evidence)) {
      scene.accuse(`${entry.id} (${entry.content}) is stored, and the domain never heard it`);
    }
    if (entry.isGood && scene.wasHeard(entry)) {
      newest.set(entry.deviceId, Math.max(entry.fixAtMs, newest.get(entry.deviceId) ?? 0));
    }
  }
  for (const [deviceId, fixAtMs] of newest) {
    if ((scene.newestAdvanceMs(deviceId) ?? 0) < fixAtMs) {
      scene.accuse(`the newest fix of ${deviceId} was never heard as a step forward`);
    }
  }
  for (const { name, readOrder, heardOrder } of lives) {
    // A group that is made again begins at 0: a life may then read for the first time what another read before.
    const order = scene.hasLostGroup ? readOrder : readOrder.toSorted(compareEntryIds);
    const index = heardOrder.findIndex((id, at) => id !== order[at]);
    if (index >= 0) scene.accuse(`${name}: the domain heard ${heardOrder[index]} before ${order[index]}`);
  }
}

/** No life ends by itself but for an error of the set-up, and the last one stops as asked. */
function judgeLives(scene: Scene, lives: readonly Life[], last: Life): void {
  if (last.ending !== 'stopped') scene.accuse(`${last.name} did not stop cleanly: ${String(last.failure)}`);
  for (const { name, ending, failure } of lives) {
    if (ending === 'failed' && sqlState(failure) !== oursState)
      scene.accuse(`${name} failed: ${String(failure)}`);
  }
}

/**
 * What was trimmed unread is counted, and nothing else is. A loss may pass unseen where the answer that showed it
 * never arrived, and by a read that was on its way already. How many there were nobody can tell where several look at
 * once, where one dies before it tells, and where Redis has lost count: after XDEL, a restart, or with the group.
 */
async function judgeLosses(scene: Scene, lives: readonly Life[]): Promise<void> {
  if (scene.hasLostGroup) return;
  let counted = 0;
  for (const { metrics } of lives) counted += (await metrics.entriesLost.get()).values[0]?.value ?? 0;
  const { losses } = scene.ledger;
  const lost = losses.reduce((sum, { entries }) => sum + entries, 0);
  scene.note('-', `trimmed unread: ${lost}, counted: ${counted}`);
  if (counted === 0 && losses.some(({ isShown }) => isShown)) {
    scene.accuse(`${lost} entries were trimmed unread, and nobody says so`);
  }
  if (scene.happened.has('XDEL') || scene.happened.has('restart Redis')) return;
  if (lost === 0 && counted > 0) scene.accuse(`${counted} entries are counted as lost, and none was`);
  const isAlone = lives.every(
    ({ ending, consumer }) => ending === 'stopped' && consumer === lives[0]?.consumer,
  );
  if (isAlone && losses.every(({ isShown }) => isShown) && counted !== lost) {
    scene.accuse(`${counted} entries are counted as lost, and ${lost} were`);
  }
}
