/** What a subscription writes to: a client's connection. */
export interface Recipient {
  /** Sends or keeps a reply; replies come before all rows written later. */
  reply(text: string): void;
  /** False while the client is behind with what it was sent, or gone. */
  canTake(): boolean;
  /** Takes as many of the frames as it can now, from the first on, and says how many. */
  writeRows(frames: readonly Uint8Array[]): number;
}

/** One client's wish to see one event, authorised. A new subscription to the same event is a new object. */
export interface Subscription {
  readonly eventId: string;
  readonly topic: string;
  /** See `rate-class.ts`. */
  readonly rateClass: number;
  readonly recipient: Recipient;
}
