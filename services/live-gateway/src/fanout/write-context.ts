import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';

export interface FanOutMeter {
  readonly onTick: (durationMs: number) => void;
  readonly onPositionsSent: (positions: number) => void;
  /** Called after the last part of a snapshot with its number of positions. Batched dialect only. */
  readonly onSnapshot: (positions: number) => void;
  readonly onConflated: (positions: number) => void;
  /** Called once a fix has been sent to all live subscriptions of a group. */
  readonly onDelivered: (fix: LatestFix, nowMs: number) => void;
}

/** What writing to subscriptions needs; created once per `FanOut`. */
export interface WriteContext {
  readonly latest: LatestFixes;
  readonly meter: FanOutMeter;
  readonly nowMs: () => number;
  /** Maximum bytes of the rows in one frame. */
  readonly rowBytes: number;
  /** Frames are deflated if at least this many subscriptions share them: it costs as much as sending several. */
  readonly minDeflatedRecipients: number;
  /** A frame for a single subscription is built here; the socket copies it. */
  readonly scratch: Buffer;
}
