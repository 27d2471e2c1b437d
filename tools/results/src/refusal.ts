/** A command failed for a reason that the operator can act on; carries the process's exit code. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The command failed, or was refused. */
export const failed = 1;
/** A server does not answer (EX_UNAVAILABLE of sysexits.h). */
export const unavailable = 69;

export function unknownEvent(eventId: string): Refusal {
  return new Refusal(
    `there is no event ${eventId}; Directus has its id at the end of the address of its page`,
  );
}
