/**
 * Loaded into a processor before its own code: plants a bug in it, by changing the text of its pipeline. It then
 * acknowledges what it has read before it is stored, so that a death in between loses it.
 */
import { registerHooks } from 'node:module';

/** Before the insert; the shorter, the less often a change of the pipeline has to be made here as well. */
const before = 'decodeEntries(entries, future);';
const acknowledge = 'this.#acks.add(entries.map(({ id }) => id), giveUp);';

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith('/pipeline/stream-loop.ts')) return loaded;
    const { source } = loaded;
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source ?? undefined);
    if (!text.includes(before)) throw new Error('the line where the bug belongs is not there any more');
    return { ...loaded, source: text.replace(before, `${before} ${acknowledge}`) };
  },
});
