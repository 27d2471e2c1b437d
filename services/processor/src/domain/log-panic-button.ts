import type { Logger } from '@app/runtime/log';
import { shortDeviceId } from '@app/runtime/log';
import type { StateTransition } from '../state/device-states.ts';

/** Priority of a record sent when the tracker's panic button is pressed. */
const panicPriority = 2;

/**
 * Logs each panic record, whatever its quality flags: a car in a ditch may have no satellites. A redelivered record is
 * logged again, with the same entry id.
 */
export async function logPanicButton(transitions: readonly StateTransition[], log: Logger): Promise<void> {
  for (const { fix } of transitions) {
    if (fix.position.priority !== panicPriority) continue;
    const { entry, position, arrivedAtMs } = fix;
    const lateMs = arrivedAtMs - position.fixAtMs;
    log.warn({ entryId: entry.id, device: shortDeviceId(position.deviceId), lateMs }, 'panic record');
  }
}
