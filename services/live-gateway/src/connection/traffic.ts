/** Called for what the sockets send and for their closes. */
export interface Traffic {
  readonly onSent: (frames: number, bytes: number) => void;
  /** uWebSockets.js has dropped a frame: a bug, since `Connection` stops writing before that. */
  readonly onDropped: () => void;
  readonly onClosed: (code: number) => void;
}
