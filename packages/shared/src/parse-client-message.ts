import { isJsonObject } from './attributes.ts';
import { clientMessage, messageId, type ClientMessage, type MessageId } from './messages.ts';
import { highestMaxHz, lowestMaxHz, maxIdLength, maxMessageBytes, type ErrorCode } from './protocol.ts';
import { isLongerThan } from './utf8.ts';

/** Why a frame is not a valid message; sent to the client as an `error`. */
export interface ProtocolProblem {
  readonly code: Extract<ErrorCode, 'bad-message' | 'unknown-type' | 'unknown-topic' | 'bad-bbox'>;
  /** Names the field and the rule, never the value. */
  readonly message: string;
  /** The frame's id, if it has a valid one. */
  readonly id?: MessageId;
}

const idRule = `id must be a number or a string of at most ${maxIdLength} characters`;
const topicRule =
  'topic must be "event:" or, except in update, "results:" and the UUID of an event, in lower case';
const bboxRule = 'bbox must be [west, south, east, north] in degrees, south not above north';
const maxHzRule = `maxHz must be a number within ${lowestMaxHz}..${highestMaxHz}`;
const handoverRule = 'reauthenticate must have either a ticket or a token, a string';
const resumeRule = 'cursor and epoch must be strings and come together';

/** Parses a text frame from a client, in either dialect. Never throws; drops unknown fields. Only a problem has a `code`. */
export function parseClientMessage(frame: string): ClientMessage | ProtocolProblem {
  if (isLongerThan(frame, maxMessageBytes)) {
    return { code: 'bad-message', message: `a message must be at most ${maxMessageBytes} bytes` };
  }
  let json: unknown;
  try {
    json = JSON.parse(frame);
  } catch {
    return { code: 'bad-message', message: 'a message must be JSON' };
  }
  if (!isJsonObject(json)) return { code: 'bad-message', message: 'a message must be a JSON object' };
  const id = messageId.optional().safeParse(json['id']);
  if (!id.success) return { code: 'bad-message', message: idRule };

  const parsed = clientMessage.safeParse(json);
  if (parsed.success) return parsed.data;
  const problem = describeProblem(json, parsed.error.issues[0]?.path[0]);
  return id.data === undefined ? problem : { ...problem, id: id.data };
}

function describeProblem(
  json: Readonly<Record<string, unknown>>,
  field: PropertyKey | undefined,
): ProtocolProblem {
  switch (field) {
    case 'type':
      return typeof json['type'] === 'string'
        ? {
            code: 'unknown-type',
            message: 'type must be subscribe, update, unsubscribe, ping or reauthenticate',
          }
        : { code: 'bad-message', message: 'type must be a string' };
    case 'topic':
      return {
        code: typeof json['topic'] === 'string' ? 'unknown-topic' : 'bad-message',
        message: topicRule,
      };
    case 'bbox':
      return { code: 'bad-bbox', message: bboxRule };
    case 'ticket':
    case 'token':
      return { code: 'bad-message', message: handoverRule };
    case 'maxHz':
      return { code: 'bad-message', message: maxHzRule };
    default:
      return { code: 'bad-message', message: resumeRule };
  }
}
