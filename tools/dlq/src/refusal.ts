/** A command failed for a reason that the operator can act on; carries the process's exit code. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The command failed, at least in part. */
export const failed = 1;
/** The command line is invalid. */
export const wrongUsage = 2;
/** Redis does not answer (EX_UNAVAILABLE of sysexits.h). */
export const unavailable = 69;
