import { deflateRawSync } from 'node:zlib';
import { deflatedFrame } from '@app/shared/protocol';
import type { SharedFrame } from './shared-frames.ts';

/** What the frames of an event repeat. A match costs 3 bytes, a device id without one 20: half of a deflated row. */
export interface FrameDictionary {
  readonly number: number;
  readonly bytes: Uint8Array;
  /** Defines the dictionary for a client. */
  readonly frame: Uint8Array;
}

export interface DeflatedFrames {
  /** To be sent to each client before its first frame that needs it. */
  readonly dictionary: FrameDictionary;
  readonly payloads: readonly Uint8Array[];
}

/** DEFLATE refers back 32 KiB at most, across the dictionary and the frame so far. */
const maxDictionaryBytes = 24 * 1024;
// Higher levels save a tenth of the bytes for up to three times the CPU. A smaller hash table fits so short a text as well,
// and takes half as long to allocate.
const options = { level: 1, memLevel: 6 };

// Never reused in a process: a client may hold dictionaries of several events.
let lastNumber = 0;

export function createDictionary(topic: string, deviceIds: Iterable<string>): FrameDictionary {
  let text = '';
  for (const id of deviceIds) {
    if (text.length > maxDictionaryBytes) break;
    text += `,["${id}",`;
  }
  // What is needed most often last, where references are shortest.
  const bytes = Buffer.from(`${text}],null,{"type":"positions","topic":"${topic}","cursor":"`, 'latin1');
  lastNumber += 1;
  return { number: lastNumber, bytes, frame: deflate(deflatedFrame.dictionaryKind, lastNumber, bytes) };
}

export function deflateFrames(frames: readonly SharedFrame[], dictionary: FrameDictionary): DeflatedFrames {
  const { number, bytes } = dictionary;
  const payloads = frames.map(({ payload }) => deflate(deflatedFrame.messageKind, number, payload, bytes));
  return { dictionary, payloads };
}

function deflate(kind: number, number: number, bytes: Uint8Array, dictionary?: Uint8Array): Uint8Array {
  const head = Buffer.alloc(deflatedFrame.dataAt);
  head[0] = kind;
  head.writeUInt32BE(number, deflatedFrame.numberAt);
  return Buffer.concat([head, deflateRawSync(bytes, { ...options, ...(dictionary && { dictionary }) })]);
}
