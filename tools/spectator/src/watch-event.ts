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
  /** Called when a connection fails, with a sentence; the client tries again. */
  readonly onFailure?: (message: string) => void;
}

/** Watches events until the session ends, reconnecting when connections are lost. */
export function watchEvent(options: WatchOptions): LiveClient {
  const { directusUrl, liveUrl, topics, cookie, onEnd, onFailure } = options;
  return connect({
    url: liveUrl,
    topics,
    openSocket: (url, protocol) => {
      const socket = new WebSocket(url, protocol, { headers: { cookie } });
      socket.on('error', (error) => onFailure?.(describeFailure(error)));
      return inflateFrames(socket);
    },
    checkSession: (signal) => fetch(`${directusUrl}/users/me?fields=id`, { headers: { cookie }, signal }),
    onState: (_, ending) => {
      if (ending !== undefined) onEnd?.(ending);
    },
  });
}

function describeFailure({ message, code }: NodeJS.ErrnoException): string {
  // Of an address with several IPs the message is empty.
  const failure = `no connection to the gateway: ${message === '' ? String(code) : message}`;
  return message.endsWith(' 403')
    ? `${failure}. It refuses programs, which send no Origin header: add none to its LIVE_ALLOWED_ORIGINS`
    : failure;
}
