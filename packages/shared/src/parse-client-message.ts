import { isJsonObject } from './attributes.ts';
import { clientMessage, maxMessageBytes, messageId } from './messages.ts';
import type { ClientMessage, ErrorCode, MessageId } from './messages.ts';

/** Why a frame is no message, ready to be answered as an `error`. */
export interface ProtocolProblem {
  readonly code: Extract<ErrorCode, 'bad-message' | 'unknown-type' | 'unknown-topic' | 'bad-bbox'>;
  readonly message: string;
  /** The frame's id, where one could be read. */
  readonly id?: MessageId;
}

/** Tells a problem from a message: only a problem has a `code`. */
export function isProblem(parsed: ClientMessage | ProtocolProblem): parsed is ProtocolProblem {
  return 'code' in parsed;
}

const knownTypes: ReadonlySet<unknown> = new Set(
  clientMessage.options.map((option) => option.def.innerType.shape.type.value),
);

const problemOfField = {
  topic: ['unknown-topic', 'topic must be "event:" and a UUID in lower case'],
  bbox: ['bad-bbox', 'bbox must be [west, south, east, north] in degrees, with south not above north'],
  maxHz: ['bad-message', 'maxHz must be a number in 0.5..20'],
  id: ['bad-message', 'id must be a number or a text of at most 64 characters'],
} as const;

/**
 * Reads a text frame of a client, in either dialect. Never throws: what is no message comes back as the problem to
 * answer with. Fields that are not known are dropped.
 */
export function parseClientMessage(text: string): ClientMessage | ProtocolProblem {
  if (text.length > maxMessageBytes) return { code: 'bad-message', message: 'too long' };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { code: 'bad-message', message: 'a message must be JSON' };
  }
  if (!isJsonObject(json)) return { code: 'bad-message', message: 'a message must be a JSON object' };
  const id = messageId.optional().safeParse(json['id']);
  if (!id.success) return { code: 'bad-message', message: problemOfField.id[1] };
  const echo = id.data === undefined ? {} : { id: id.data };
  const type = json['type'];
  if (!knownTypes.has(type)) return { code: 'unknown-type', message: 'type must be known', ...echo };
  const parsed = clientMessage.safeParse(json);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path[0];
  if (field === 'topic' && typeof json['topic'] === 'string')
    return { code: 'unknown-topic', message: problemOfField.topic[1], ...echo };
  if (field === 'bbox') return { code: 'bad-bbox', message: problemOfField.bbox[1], ...echo };
  return { code: 'bad-message', message: `${String(field)} is wrong`, ...echo };
}
