import type { Random } from './random.ts';

interface Piece {
  readonly fromS: number;
  readonly toS: number;
  readonly fromM: number;
  readonly fromMps: number;
  readonly acceleration: number;
}

/** A motion along a straight line with piecewise constant acceleration, of which everything is known in closed form. */
export interface AnalyticTrack {
  readonly lengthM: number;
  readonly placeAtM: (atS: number) => number;
  readonly speedAtMps: (atS: number) => number;
  /** When it first reaches a place. */
  readonly timeAtS: (placeM: number) => number;
}

/** Drives for `durationS`: every few seconds another acceleration, never backwards and never faster than `maxMps`. */
export function drawTrack(
  random: Random,
  durationS: number,
  startMps: number,
  maxMps: number,
  maxMs2: number,
): AnalyticTrack {
  const pieces: Piece[] = [];
  let [atS, atM, mps] = [0, 0, startMps];
  while (atS < durationS) {
    const forS = random.within(1, 12);
    const wanted = maxMs2 === 0 ? 0 : random.within(-maxMs2, maxMs2);
    const acceleration = Math.min(Math.max(wanted, -mps / forS), (maxMps - mps) / forS);
    pieces.push({ fromS: atS, toS: atS + forS, fromM: atM, fromMps: mps, acceleration });
    atM += mps * forS + (acceleration * forS * forS) / 2;
    mps = Math.max(0, mps + acceleration * forS);
    atS += forS;
  }
  const pieceAt = (second: number) => {
    const piece = pieces.find(({ toS }) => second <= toS) ?? pieces.at(-1);
    if (!piece) throw new Error('a track has a piece');
    return piece;
  };
  const placeAtM = (second: number) => {
    const { fromS, fromM, fromMps, acceleration } = pieceAt(second);
    const s = second - fromS;
    return fromM + fromMps * s + (acceleration * s * s) / 2;
  };
  return {
    lengthM: atM,
    placeAtM,
    speedAtMps: (second) => {
      const { fromS, fromMps, acceleration } = pieceAt(second);
      return Math.max(0, fromMps + acceleration * (second - fromS));
    },
    timeAtS: (placeM) => {
      const { fromS, fromM, fromMps, acceleration } =
        pieces.findLast((piece) => piece.fromM <= placeM) ?? pieceAt(0);
      const restM = placeM - fromM;
      return (
        fromS + (2 * restM) / (fromMps + Math.sqrt(Math.max(0, fromMps * fromMps + 2 * acceleration * restM)))
      );
    },
  };
}
