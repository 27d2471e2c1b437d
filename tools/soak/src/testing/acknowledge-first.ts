/**
 * Loaded into a processor before its own code: plants a bug in it, by changing the text of its pipeline. It then
 * acknowledges what it has read before it is stored, so that a death in between loses it.
 */
import { registerHooks } from 'node:module';

const insert = 'const written = await parts.writer.write(decoded.fixes, giveUp, attempt);';
const acknowledge = 'acks.add(entries.map(({ id }) => id), giveUp);';

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith('/core/pipeline.ts')) return loaded;
    const { source } = loaded;
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source ?? undefined);
    if (!text.includes(insert)) throw new Error('the line where the bug belongs is not there any more');
    return { ...loaded, source: text.replace(insert, `${acknowledge} ${insert}`) };
  },
});
