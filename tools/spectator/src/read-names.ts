export interface RaceNames {
  readonly entries: ReadonlyMap<string, { readonly number: string; readonly crew: string }>;
  readonly stages: ReadonlyMap<string, { readonly name: string; readonly order: number }>;
}

/** Reads the start list and the stages from Directus. What the viewer may not read is missing. */
export async function readNames(directusUrl: string, cookie: string, eventId: string): Promise<RaceNames> {
  const read = async (collection: string, fields: string): Promise<readonly Item[]> => {
    const query = new URLSearchParams({ fields, limit: '-1', filter: JSON.stringify({ event_id: eventId }) });
    const response = await fetch(`${directusUrl}/items/${collection}?${query.toString()}`, {
      headers: { cookie },
    });
    if (!response.ok) {
      await response.body?.cancel();
      return [];
    }
    const body: unknown = await response.json();
    return isList(body) ? body.data : [];
  };
  const [entries, stages] = await Promise.all([
    read('entries', 'id,number,crew'),
    read('stages', 'id,name,order_number'),
  ]);
  return {
    entries: new Map(
      entries.map(({ id, number, crew }) => [
        String(id),
        { number: String(number ?? ''), crew: String(crew ?? '') },
      ]),
    ),
    stages: new Map(
      stages.map(({ id, name, order_number: order }) => [
        String(id),
        { name: String(name ?? ''), order: Number(order ?? 0) },
      ]),
    ),
  };
}

type Item = Readonly<Partial<Record<string, string | number | null>>>;

function isList(body: unknown): body is { readonly data: readonly Item[] } {
  return typeof body === 'object' && body !== null && 'data' in body && Array.isArray(body.data);
}
