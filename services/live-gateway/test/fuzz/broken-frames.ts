import type { Draw } from './draw.ts';

/** A client's frame as RFC 6455 has it, but for what is given. */
function frame(
  draw: Draw,
  options: {
    readonly payload?: Buffer;
    readonly opcode?: number;
    readonly isFinal?: boolean;
    /** RSV1, RSV2 and RSV3 as the bits 4, 2 and 1. */
    readonly reserved?: number;
    readonly isMasked?: boolean;
    /** What the header says, whatever the payload is. */
    readonly saysBytes?: bigint;
  },
): Buffer {
  const {
    payload = Buffer.from('{"type":"ping"}'),
    opcode = 1,
    isFinal = true,
    reserved = 0,
    isMasked = true,
  } = options;
  const saysBytes = options.saysBytes ?? BigInt(payload.length);
  const first = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode;
  const masked = isMasked ? 0x80 : 0;
  const length =
    saysBytes < 126n
      ? Buffer.from([masked | Number(saysBytes)])
      : saysBytes < 65_536n
        ? Buffer.from([masked | 126, Number(saysBytes >> 8n), Number(saysBytes & 255n)])
        : Buffer.concat([Buffer.from([masked | 127]), bigEndian(saysBytes)]);
  if (!isMasked) return Buffer.concat([Buffer.from([first]), length, payload]);
  const mask = draw.bytes(4);
  const maskedPayload = Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
  return Buffer.concat([Buffer.from([first]), length, mask, maskedPayload]);
}

function bigEndian(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

const invalidUtf8 = ['ff', 'c0af', 'eda080', 'f4908080', 'e282', '80', '7b22fe'] as const;

/** Bytes that a well-behaved client never sends over an open WebSocket; a good message comes after some of them. */
export function brokenFrames(draw: Draw): Buffer {
  const good = frame(draw, {});
  switch (draw.below(14)) {
    case 0:
      return frame(draw, { reserved: 1 + draw.below(7) });
    case 1:
      return Buffer.concat([frame(draw, { isMasked: false }), good]);
    case 2:
      return frame(draw, { opcode: draw.of([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) });
    case 3:
      return frame(draw, { opcode: draw.of([8, 9, 10]), isFinal: false });
    case 4:
      return frame(draw, { opcode: draw.of([8, 9, 10]), payload: draw.bytes(126 + draw.below(400)) });
    case 5:
      return Buffer.concat([frame(draw, { opcode: 0 }), good]);
    case 6:
      return Buffer.concat([frame(draw, { isFinal: false }), good]);
    case 7:
      return frame(draw, { payload: Buffer.from(draw.of(invalidUtf8), 'hex') });
    case 8:
      return frame(draw, {
        saysBytes: draw.of([65_536n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]),
      });
    case 9:
      return frame(draw, {
        opcode: 8,
        payload: draw.of([
          Buffer.from([3]),
          Buffer.from([0, 0]),
          Buffer.from([3, 237]),
          Buffer.from([3, 232, 255]),
          draw.bytes(2),
        ]),
      });
    case 10:
      return frame(draw, { opcode: 2, payload: draw.bytes(draw.below(300)) });
    case 11:
      // One message in many fragments, of which each is fine and all are too much.
      return Buffer.concat([
        frame(draw, { isFinal: false, payload: Buffer.alloc(4096, 'x') }),
        ...Array.from({ length: 5 }, () =>
          frame(draw, { opcode: 0, isFinal: false, payload: Buffer.alloc(4096, 'x') }),
        ),
      ]);
    case 12:
      return Buffer.concat(
        Array.from({ length: 50 }, () =>
          frame(draw, { payload: Buffer.alloc(0), opcode: draw.of([1, 9, 10]) }),
        ),
      );
    default: {
      const random = draw.bytes(2 + draw.below(200));
      // Else it may be the beginning of a long frame, and the server waits for the rest.
      return Buffer.concat([random, good, good]);
    }
  }
}
