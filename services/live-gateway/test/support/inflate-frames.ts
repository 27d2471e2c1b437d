import { inflateRawSync } from 'node:zlib';
import { deflatedFrame } from '@app/shared/protocol';

/** Returns a reader of one connection's deflated frames: the message, or undefined for a dictionary. */
export function createInflater(): (frame: Uint8Array) => string | undefined {
  const dictionaries = new Map<number, Uint8Array>();
  return (bytes) => {
    const frame = Buffer.from(bytes);
    const number = frame.readUInt32BE(deflatedFrame.numberAt);
    const data = frame.subarray(deflatedFrame.dataAt);
    if (frame[0] === deflatedFrame.dictionaryKind) {
      dictionaries.set(number, inflateRawSync(data));
      return undefined;
    }
    const dictionary = dictionaries.get(number);
    if (dictionary === undefined) throw new Error(`dictionary ${number} was not sent`);
    return inflateRawSync(data, { dictionary }).toString();
  };
}
