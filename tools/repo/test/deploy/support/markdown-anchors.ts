/** Anchors of a Markdown page: its headings, as GitHub generates them, and `<a id="…">`. */
export function anchorsOf(markdown: string): readonly string[] {
  const headings = [...markdown.matchAll(/^#{1,6} (.+)$/gmu)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/gu, '-'),
  );
  const explicit = [...markdown.matchAll(/<a id="([^"]+)">/gu)].map(([, id = '']) => id);
  return [...headings, ...explicit];
}
