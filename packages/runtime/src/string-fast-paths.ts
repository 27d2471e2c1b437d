/**
 * Restores fast calls of String methods after ioredis is loaded, which has a class that extends String. V8 then keeps
 * String.prototype in dictionary mode, and optimised code looks up every string method by name, until properties are
 * looked up through an object that inherits from it. `for … in` does that.
 */
export function restoreStringFastPaths(): void {
  for (const index in Object('')) throw new Error(`the empty string has a character ${index}`);
}
