/** The same items. While one is used, the next is being read. */
export async function* readAhead<Item>(items: AsyncGenerator<Item, void>): AsyncGenerator<Item, void> {
  let reading = items.next();
  try {
    for (;;) {
      const read = await reading;
      if (read.done) return;
      reading = items.next();
      // Rejects where it is awaited, and nowhere if the rest is not wanted any more.
      reading.catch(() => undefined);
      yield read.value;
    }
  } finally {
    await items.return();
  }
}
