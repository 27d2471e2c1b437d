/** Why a command was not done, for the one who gave it, with the exit code that tells a script the kind. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** It could not be done, or not all of it. */
export const failed = 1;
/** The command line is wrong. */
export const wrongUsage = 2;
/** Redis does not answer (EX_UNAVAILABLE of sysexits.h). */
export const unavailable = 69;
