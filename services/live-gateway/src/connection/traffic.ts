/** What goes over the sockets, for the metrics. */
export interface Traffic {
  readonly onSent: (frames: number, bytes: number) => void;
  /** uWebSockets.js has thrown a frame away: an alarm, never the policy. */
  readonly onDropped: () => void;
  readonly onClosed: (code: number) => void;
}
