import { connect, type Ending, type LiveClient } from '@app/live-client';
import { eventTopic } from '@app/shared/topics';
import { WebSocket } from 'ws';
import { logIn, type Credentials } from './log-in.ts';

export interface WatchOptions extends Credentials {
  readonly directusUrl: string;
  /** The gateway's, `ws://…`. */
  readonly liveUrl: string;
  readonly eventId: string;
  /** When the client has ended for good: the session is over, or the event is not to be seen. */
  readonly onEnd?: (ending: Ending) => void;
}

/** Logs in and watches an event for as long as the session lasts, over lost connections. */
export async function watchEvent(options: WatchOptions): Promise<LiveClient> {
  const { directusUrl, liveUrl, eventId, onEnd } = options;
  const cookie = await logIn(directusUrl, options);
  return connect({
    url: liveUrl,
    topics: [eventTopic(eventId)],
    openSocket: (url, protocol) => new WebSocket(url, protocol, { headers: { cookie } }),
    checkSession: (signal) => fetch(`${directusUrl}/users/me?fields=id`, { headers: { cookie }, signal }),
    onState: (_, ending) => {
      if (ending !== undefined) onEnd?.(ending);
    },
  });
}
