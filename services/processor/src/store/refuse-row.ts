import { sqlState } from '@app/runtime/postgres';
import type { Fix, Rejected } from '../fix.ts';

/** Refused rows of more devices than this in one batch point to a fault of the schema, not of the devices. */
const maxRefusedDevices = 10;

/** The rejection of a row that Postgres refuses because of its values. */
export function refuseRow(fix: Fix, error: unknown): Rejected {
  const state = sqlState(error);
  return {
    entry: fix.entry,
    reason: 'row_refused',
    // Postgres' message may quote the row, and positions are personal data.
    detail: `Postgres refuses this row (SQLSTATE ${state ?? 'unknown'})`,
    ...(state === undefined ? {} : { sqlState: state }),
    deviceId: fix.position.deviceId,
  };
}

/** Throws if a fault of the schema would empty the stream into the dead letters. */
export function assertFewRefusedDevices(refused: readonly Rejected[], cause: unknown): void {
  const devices = new Set(refused.map(({ deviceId }) => deviceId)).size;
  if (devices <= maxRefusedDevices) return;
  throw new Error(
    `Postgres refuses rows of ${devices} devices in one batch; check the schema of positions. Nothing was dead-lettered`,
    { cause },
  );
}
