/** Preloaded into a processor: changes its source so that it acknowledges entries before it stores them. */
import { registerHooks } from 'node:module';

/** A statement before the insert. */
const before = 'const decoded = this.#decode(entries);';
const acknowledge = 'this.#acks.add(entries.map(({ id }) => id), giveUp);';

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith('/pipeline/stream-loop.ts')) return loaded;
    const { source } = loaded;
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source ?? undefined);
    if (!text.includes(before))
      throw new Error('stream-loop.ts no longer has the statement after which the bug is planted');
    return { ...loaded, source: text.replace(before, `${before} ${acknowledge}`) };
  },
});
