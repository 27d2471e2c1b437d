/**
 * ioredis has a class that extends String. V8 then keeps String.prototype as a dictionary, until properties are looked
 * up through an object that inherits from it; a text is none. Until then optimized code searches for every method of a
 * text by its name. `for … in` makes the prototype fast again.
 */
export function restoreStringFastPaths(): void {
  for (const index in Object('')) throw new Error(`an empty text has a character ${index}`);
}
