import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { readIgc, type TrackFix } from './igc.ts';

/**
 * Recorded flights, in the order of their names: 640,000 fixes with real gaps, repeated times and steps backwards. The IGC
 * files are test files of the package `igc-xc-score`.
 *
 * @param most default: all
 */
export async function readRecordedTracks(most?: number): Promise<readonly (readonly TrackFix[])[]> {
  const folder = new URL('test/', import.meta.resolve('igc-xc-score/package.json'));
  const files = (await readdir(folder)).filter((name) => name.endsWith('.igc')).toSorted();
  return await Promise.all(
    files
      .slice(0, most)
      .map(async (name) => readIgc(await readFile(fileURLToPath(new URL(name, folder)), 'latin1'))),
  );
}
