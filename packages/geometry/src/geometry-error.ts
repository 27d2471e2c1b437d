/**
 * Why a shape cannot be used, as a sentence for the people who draw courses. Returned, never thrown: one bad shape must
 * not stop the others.
 */
export class GeometryError {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}
