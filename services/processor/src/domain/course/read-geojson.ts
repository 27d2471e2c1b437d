import { RowError } from './read-row.ts';

/** Longitude and latitude. */
type Position = readonly number[];

/** The positions of a GeoJSON LineString. `what` begins the sentence: "The line of the stage SS 1". @throws {RowError} */
export function readLineString(what: string, value: unknown): readonly Position[] {
  return readPositions(what, coordinatesOf(what, value, 'LineString'));
}

/** The outer ring of a GeoJSON Polygon. @throws {RowError} */
export function readPolygonRing(what: string, value: unknown): readonly Position[] {
  const rings = coordinatesOf(what, value, 'Polygon');
  if (!Array.isArray(rings) || rings.length === 0) throw new RowError(`${what} has no ring of positions.`);
  if (rings.length > 1) throw new RowError(`${what} has a hole; draw polygons without holes.`);
  return readPositions(what, rings[0]);
}

/** Of a geometry, or of the one feature that drawing tools wrap it into. */
function coordinatesOf(what: string, value: unknown, type: string): unknown {
  const json = typeof value === 'string' ? parseJson(value) : value;
  const found = field(json, 'type');
  if (found === 'Feature') return coordinatesOf(what, field(json, 'geometry'), type);
  if (found === 'FeatureCollection') {
    const features = field(json, 'features');
    if (Array.isArray(features) && features.length === 1) return coordinatesOf(what, features[0], type);
    throw new RowError(
      `${what} has ${Array.isArray(features) ? features.length : 'no'} features; it must have one.`,
    );
  }
  if (found !== type) {
    const is = typeof found === 'string' ? `a GeoJSON ${found.slice(0, 40)}` : 'no GeoJSON';
    throw new RowError(`${what} is ${is}; it must be a GeoJSON ${type}.`);
  }
  return field(json, 'coordinates');
}

function readPositions(what: string, value: unknown): readonly Position[] {
  if (!Array.isArray(value)) throw new RowError(`${what} has no list of positions.`);
  return value.map((position: unknown, index) => {
    if (Array.isArray(position) && position.length >= 2 && position.every((one) => typeof one === 'number')) {
      return position;
    }
    throw new RowError(`Point ${index + 1} of ${lowerFirst(what)} is not a longitude and a latitude.`);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
