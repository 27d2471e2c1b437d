import { connect, type Ending, type LiveClient } from '@app/live-client';
import { inflateFrames } from '@app/live-client/inflate';
import { WebSocket } from 'ws';

export interface WatchOptions {
  readonly directusUrl: string;
  /** WebSocket URL of the gateway. */
  readonly liveUrl: string;
  readonly topics: readonly string[];
  /** Of the session, from `logIn`. */
  readonly cookie: string;
  /** Called when the client ends for good: the session ended, or the user may not see the event. */
  readonly onEnd?: (ending: Ending) => void;
}

/** Watches events until the session ends, reconnecting when connections are lost. */
export function watchEvent({ directusUrl, liveUrl, topics, cookie, onEnd }: WatchOptions): LiveClient {
  return connect({
    url: liveUrl,
    topics,
    openSocket: (url, protocol) => inflateFrames(new WebSocket(url, protocol, { headers: { cookie } })),
    checkSession: (signal) => fetch(`${directusUrl}/users/me?fields=id`, { headers: { cookie }, signal }),
    onState: (_, ending) => {
      if (ending !== undefined) onEnd?.(ending);
    },
  });
}
