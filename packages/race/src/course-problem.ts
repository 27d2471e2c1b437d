export type Collection =
  | 'events'
  | 'stages'
  | 'gates'
  | 'waypoints'
  | 'zones'
  | 'entries'
  | 'entry_devices'
  | 'decisions';

/** What race control has to correct: a sentence about one row. */
export interface CourseProblem {
  readonly collection: Collection;
  readonly id: string;
  readonly message: string;
  /** Whether the row is left out until then. Otherwise the rest of it is used. */
  readonly isRefused: boolean;
}

export type Report = (collection: Collection, id: string, message: string) => void;
