/** Number and time of a write of results. Both together identify what the tables hold of an event. */
export interface Revision {
  readonly revision: number;
  /** Epoch microseconds, by the clock of Postgres. */
  readonly revisedAtUs: string;
}

/** Columns of `evaluations` that make a `Revision`. */
export const revisionColumns = `revision::float8 as revision,
  (extract(epoch from revised_at) * 1000000)::bigint::text as "revisedAtUs"`;
