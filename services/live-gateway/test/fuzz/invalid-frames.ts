import type { SeededRandom } from './seeded-random.ts';

/** A valid client frame by RFC 6455, with these fields replaced. */
function frame(
  random: SeededRandom,
  options: {
    readonly payload?: Buffer;
    readonly opcode?: number;
    readonly isFinal?: boolean;
    /** RSV1, RSV2 and RSV3 as the bits 4, 2 and 1. */
    readonly reserved?: number;
    readonly isMasked?: boolean;
    /** Payload length in the header; default the payload's own. */
    readonly headerLength?: bigint;
  },
): Buffer {
  const {
    payload = Buffer.from('{"type":"ping"}'),
    opcode = 1,
    isFinal = true,
    reserved = 0,
    isMasked = true,
  } = options;
  const headerLength = options.headerLength ?? BigInt(payload.length);
  const first = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode;
  const masked = isMasked ? 0x80 : 0;
  const length =
    headerLength < 126n
      ? Buffer.from([masked | Number(headerLength)])
      : headerLength < 65_536n
        ? Buffer.from([masked | 126, Number(headerLength >> 8n), Number(headerLength & 255n)])
        : Buffer.concat([Buffer.from([masked | 127]), bigEndian(headerLength)]);
  if (!isMasked) return Buffer.concat([Buffer.from([first]), length, payload]);
  const mask = random.bytes(4);
  const maskedPayload = Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
  return Buffer.concat([Buffer.from([first]), length, mask, maskedPayload]);
}

function bigEndian(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

const invalidUtf8 = ['ff', 'c0af', 'eda080', 'f4908080', 'e282', '80', '7b22fe'] as const;

/** Bytes that violate RFC 6455 or the protocol; some are followed by a valid message. */
export function invalidFrames(random: SeededRandom): Buffer {
  const valid = frame(random, {});
  switch (random.below(14)) {
    case 0:
      return frame(random, { reserved: 1 + random.below(7) });
    case 1:
      return Buffer.concat([frame(random, { isMasked: false }), valid]);
    case 2:
      return frame(random, { opcode: random.of([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) });
    case 3:
      return frame(random, { opcode: random.of([8, 9, 10]), isFinal: false });
    case 4:
      return frame(random, { opcode: random.of([8, 9, 10]), payload: random.bytes(126 + random.below(400)) });
    case 5:
      return Buffer.concat([frame(random, { opcode: 0 }), valid]);
    case 6:
      return Buffer.concat([frame(random, { isFinal: false }), valid]);
    case 7:
      return frame(random, { payload: Buffer.from(random.of(invalidUtf8), 'hex') });
    case 8:
      return frame(random, {
        headerLength: random.of([65_536n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]),
      });
    case 9:
      return frame(random, {
        opcode: 8,
        payload: random.of([
          Buffer.from([3]),
          Buffer.from([0, 0]),
          Buffer.from([3, 237]),
          Buffer.from([3, 232, 255]),
          random.bytes(2),
        ]),
      });
    case 10:
      return frame(random, { opcode: 2, payload: random.bytes(random.below(300)) });
    case 11:
      // A message in fragments, each short enough and together too long.
      return Buffer.concat([
        frame(random, { isFinal: false, payload: Buffer.alloc(4096, 'x') }),
        ...Array.from({ length: 5 }, () =>
          frame(random, { opcode: 0, isFinal: false, payload: Buffer.alloc(4096, 'x') }),
        ),
      ]);
    case 12:
      return Buffer.concat(
        Array.from({ length: 50 }, () =>
          frame(random, { payload: Buffer.alloc(0), opcode: random.of([1, 9, 10]) }),
        ),
      );
    default: {
      const bytes = random.bytes(2 + random.below(200));
      // Without the valid frames they may begin a long frame whose rest the server waits for.
      return Buffer.concat([bytes, valid, valid]);
    }
  }
}
