import type { Logger } from '@app/runtime/log';
import { shortDeviceId } from '@app/runtime/log';
import type { StateTransition } from '../state/device-states.ts';

/** Priority of a record that a tracker sends when its panic button is pressed. */
const panicPriority = 2;

/**
 * Says in the log, once per record, that a vehicle calls for help. Flags of the fix do not matter here: a car
 * in a ditch without satellites calls all the same. Hearing a record again repeats the line with the same
 * entry id, and no state hangs on it.
 */
export async function announcePanic(heard: readonly StateTransition[], log: Logger): Promise<void> {
  for (const { fix } of heard) {
    if (fix.position.priority !== panicPriority) continue;
    const { entry, position, arrivedAtMs } = fix;
    const lateMs = arrivedAtMs - position.fixAtMs;
    log.warn({ entryId: entry.id, device: shortDeviceId(position.deviceId), lateMs }, 'panic record');
  }
}
