import { isJsonObject } from './attributes.ts';
import { clientMessage, messageId, type ClientMessage, type MessageId } from './messages.ts';
import { highestMaxHz, lowestMaxHz, maxIdLength, maxMessageBytes, type ErrorCode } from './protocol.ts';
import { isLongerThan } from './utf8.ts';

/** Why a frame is no message, fit to be answered as an `error`. */
export interface ProtocolProblem {
  readonly code: Extract<ErrorCode, 'bad-message' | 'unknown-type' | 'unknown-topic' | 'bad-bbox'>;
  /** Names the field and the rule, never the value. */
  readonly message: string;
  /** The frame's id, where it has one that can be echoed. */
  readonly id?: MessageId;
}

const idRule = `id must be a number or a text of at most ${maxIdLength} characters`;
const topicRule = 'topic must be "event:" and the UUID of an event, in lower case';
const bboxRule = 'bbox must be [west, south, east, north] in degrees, south not above north';
const maxHzRule = `maxHz must be a number within ${lowestMaxHz}..${highestMaxHz}`;
const resumeRule = 'cursor and epoch must be texts and come together';

/**
 * Reads a text frame of a client, in either dialect. Never throws: what is no message comes back as the problem to
 * answer with. Fields that are not known are dropped.
 */
export function parseClientMessage(text: string): ClientMessage | ProtocolProblem {
  if (isLongerThan(text, maxMessageBytes)) {
    return { code: 'bad-message', message: `a message must be at most ${maxMessageBytes} bytes` };
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { code: 'bad-message', message: 'a message must be JSON' };
  }
  if (!isJsonObject(json)) return { code: 'bad-message', message: 'a message must be a JSON object' };
  const id = messageId.optional().safeParse(json['id']);
  if (!id.success) return { code: 'bad-message', message: idRule };

  const parsed = clientMessage.safeParse(json);
  if (parsed.success) return parsed.data;
  const problem = explain(json, parsed.error.issues[0]?.path[0]);
  return id.data === undefined ? problem : { ...problem, id: id.data };
}

/** Only a problem has a `code`. */
export function isProtocolProblem(parsed: ClientMessage | ProtocolProblem): parsed is ProtocolProblem {
  return 'code' in parsed;
}

function explain(json: Readonly<Record<string, unknown>>, field: PropertyKey | undefined): ProtocolProblem {
  switch (field) {
    case 'type':
      return typeof json['type'] === 'string'
        ? { code: 'unknown-type', message: 'type must be subscribe, update, unsubscribe or ping' }
        : { code: 'bad-message', message: 'type must be a text' };
    case 'topic':
      return {
        code: typeof json['topic'] === 'string' ? 'unknown-topic' : 'bad-message',
        message: topicRule,
      };
    case 'bbox':
      return { code: 'bad-bbox', message: bboxRule };
    case 'maxHz':
      return { code: 'bad-message', message: maxHzRule };
    default:
      return { code: 'bad-message', message: resumeRule };
  }
}
