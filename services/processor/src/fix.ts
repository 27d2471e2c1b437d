import type { DecodedRecord } from '@app/shared/entry';
import type { Entry } from './stream/entry-reply.ts';

/** A decoded entry with its arrival time and quality. */
export interface Fix extends DecodedRecord {
  readonly entry: Entry;
  /** From the entry's id, so the same at every redelivery, unless Redis' clock is wrong: see `ClockMonitor`. */
  readonly arrivedAtMs: number;
  /** Quality flags of @app/shared; 0 is a good fix. */
  readonly quality: number;
  /** So much earlier than its arrival that it is stored apart, and moves no state. */
  readonly isPastLimit: boolean;
}

/** An entry that cannot be stored, with the reason. */
export interface Rejected {
  readonly entry: Entry;
  readonly reason: string;
  readonly detail: string;
  readonly sqlState?: string;
  /** Of an undecodable entry: what the producer's `device_id` field says. */
  readonly deviceId?: string;
}
