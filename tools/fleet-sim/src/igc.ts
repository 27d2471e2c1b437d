/** A fix as an IGC file has it. */
export interface TrackFix {
  /** Since midnight UTC of the first date; grows beyond a day's. */
  readonly timeMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitudeM: number;
  /** False: a 2D fix, or none, at the last known place. */
  readonly isValid: boolean;
}

const dayMs = 86_400_000;

/** B 14:26:07 52°06.310'N 002°20.328'W A 00294 00422 (pressure and GNSS altitude). */
const fixLine = /^B(\d\d)(\d\d)(\d\d)(\d\d)(\d{5})([NS])(\d{3})(\d{5})([EW])([AV])([-\d]\d{4})([-\d]\d{4})/;

/**
 * The fixes of an IGC file (FAI, Technical Specification for GNSS Flight
 * Recorders, appendix A), in the file's order: gaps, repeated stamps and steps
 * backwards stay. Nothing else is read, so no name of a pilot gets any further.
 */
export function readIgc(text: string): TrackFix[] {
  const fixes: TrackFix[] = [];
  let midnightMs = 0;
  let lastOfDayMs = 0;
  for (const line of text.split('\n')) {
    const match = fixLine.exec(line);
    if (match === null) continue;
    const [, hour, minute, second, latDeg, latMin, latSide, lonDeg, lonMin, lonSide, validity, , altitude] =
      match;

    const ofDayMs = ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000;
    // Only a step back of half a day is midnight; a smaller one is a recorder's disorder.
    if (ofDayMs < lastOfDayMs - dayMs / 2) midnightMs += dayMs;
    lastOfDayMs = ofDayMs;

    fixes.push({
      timeMs: midnightMs + ofDayMs,
      latitude: (latSide === 'S' ? -1 : 1) * (Number(latDeg) + Number(latMin) / 60_000),
      longitude: (lonSide === 'W' ? -1 : 1) * (Number(lonDeg) + Number(lonMin) / 60_000),
      altitudeM: Number(altitude),
      isValid: validity === 'A',
    });
  }
  return fixes;
}
