import { inflateRawSync } from 'node:zlib';
import { deflatedFrame } from '@app/shared/protocol';

/** Reads the deflated frames of one connection: the text of a message, or undefined for a dictionary. Throws if invalid. */
export function createFrameInflater(): (frame: Buffer) => string | undefined {
  const dictionaries = new Map<number, Buffer>();
  return (frame) => {
    const number = frame.readUInt32BE(deflatedFrame.numberAt);
    const data = frame.subarray(deflatedFrame.dataAt);
    if (frame[0] === deflatedFrame.dictionaryKind) {
      dictionaries.set(number, inflateRawSync(data));
      return undefined;
    }
    const dictionary = dictionaries.get(number);
    if (frame[0] !== deflatedFrame.messageKind || dictionary === undefined) {
      throw new Error(
        `received a deflated frame of kind ${frame[0]} with dictionary ${number}, which was not sent`,
      );
    }
    return inflateRawSync(data, { dictionary }).toString();
  };
}
