import type { LoadedRace } from '@app/processor/load-race';
import type { Stage } from '@app/race/course';

/** The race as Directus has it, and what of it is exported. */
export interface ExportedRace extends Pick<LoadedRace, 'race'> {
  /** Undefined for all stages and what belongs to none. */
  readonly stages: readonly Stage[] | undefined;
}
