export interface GpxPoint {
  readonly atMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitudeM: number;
  readonly speedKmh: number;
  /** From north, clockwise. */
  readonly courseDegrees: number;
}

// GPX 1.1: https://www.topografix.com/GPX/1/1/. It has no speed; Garmin's extension for that is the one that programs read.

export function gpxStart(name: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="live tracking" xmlns="http://www.topografix.com/GPX/1/1"
 xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">
<metadata><name>${escapeXml(name)}</name></metadata>
`;
}

export function gpxTrackStart(name: string): string {
  return `<trk><name>${escapeXml(name)}</name><trkseg>\n`;
}

/** Digits are fixed: the schema's decimals have no exponent. */
export function gpxPoint({
  atMs,
  latitude,
  longitude,
  altitudeM,
  speedKmh,
  courseDegrees,
}: GpxPoint): string {
  // 180° and 360° are outside of the schema's ranges.
  const east = longitude >= 180 ? longitude - 360 : longitude;
  const course = Number(courseDegrees.toFixed(1)) % 360;
  return (
    `<trkpt lat="${latitude.toFixed(7)}" lon="${east.toFixed(7)}"><ele>${altitudeM.toFixed(1)}</ele>` +
    `<time>${new Date(atMs).toISOString()}</time><extensions><gpxtpx:TrackPointExtension>` +
    `<gpxtpx:speed>${(speedKmh / 3.6).toFixed(2)}</gpxtpx:speed><gpxtpx:course>${course.toFixed(1)}</gpxtpx:course>` +
    '</gpxtpx:TrackPointExtension></extensions></trkpt>\n'
  );
}

export const segmentBreak = '</trkseg><trkseg>\n';
export const gpxTrackEnd = '</trkseg></trk>\n';
export const gpxEnd = '</gpx>\n';

/** Without what XML 1.0 cannot contain at all. */
function escapeXml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\u{FFFD}')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}
