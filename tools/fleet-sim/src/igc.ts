/** A fix of an IGC file. */
export interface TrackFix {
  /** Since midnight UTC of the first day; may exceed 24 h. */
  readonly timeMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitudeM: number;
  /** False: a 2D fix, or the last known position. */
  readonly isValid: boolean;
}

const dayMs = 86_400_000;

/** B 14:26:07 52°06.310'N 002°20.328'W A 00294 00422 (pressure and GNSS altitude). */
const fixLine = /^B(\d\d)(\d\d)(\d\d)(\d\d)(\d{5})([NS])(\d{3})(\d{5})([EW])([AV])([-\d]\d{4})([-\d]\d{4})/;

/**
 * Reads the fixes of an IGC file (FAI, Technical Specification for GNSS Flight Recorders, appendix A) in the file's
 * order, including gaps, repeated times and steps backwards. Ignores all other lines, which may name the pilot.
 */
export function readIgc(content: string): TrackFix[] {
  const fixes: TrackFix[] = [];
  let midnightMs = 0;
  let lastTimeOfDayMs = 0;
  for (const line of content.split('\n')) {
    const match = fixLine.exec(line);
    if (match === null) continue;
    const [, hour, minute, second, latDeg, latMin, latSide, lonDeg, lonMin, lonSide, validity, , altitude] =
      match;

    const timeOfDayMs = ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000;
    // A step back of more than half a day is midnight; a smaller one is a recorder error.
    if (timeOfDayMs < lastTimeOfDayMs - dayMs / 2) midnightMs += dayMs;
    lastTimeOfDayMs = timeOfDayMs;

    fixes.push({
      timeMs: midnightMs + timeOfDayMs,
      latitude: (latSide === 'S' ? -1 : 1) * (Number(latDeg) + Number(latMin) / 60_000),
      longitude: (lonSide === 'W' ? -1 : 1) * (Number(lonDeg) + Number(lonMin) / 60_000),
      altitudeM: Number(altitude),
      isValid: validity === 'A',
    });
  }
  return fixes;
}
