import { connect, type Ending, type LiveClient } from '@app/live-client';
import { inflateFrames } from '@app/live-client/inflate';
import { eventTopic } from '@app/shared/topics';
import { WebSocket } from 'ws';
import { logIn, type Credentials } from './log-in.ts';

export interface WatchOptions extends Credentials {
  readonly directusUrl: string;
  /** WebSocket URL of the gateway. */
  readonly liveUrl: string;
  readonly eventId: string;
  /** Called when the client ends for good: the session ended, or the user may not see the event. */
  readonly onEnd?: (ending: Ending) => void;
}

/** Logs in and watches an event until the session ends, reconnecting when connections are lost. */
export async function watchEvent(options: WatchOptions): Promise<LiveClient> {
  const { directusUrl, liveUrl, eventId, onEnd } = options;
  const cookie = await logIn(directusUrl, options);
  return connect({
    url: liveUrl,
    topics: [eventTopic(eventId)],
    openSocket: (url, protocol) => inflateFrames(new WebSocket(url, protocol, { headers: { cookie } })),
    checkSession: (signal) => fetch(`${directusUrl}/users/me?fields=id`, { headers: { cookie }, signal }),
    onState: (_, ending) => {
      if (ending !== undefined) onEnd?.(ending);
    },
  });
}
