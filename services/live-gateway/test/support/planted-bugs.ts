/**
 * Loaded into a gateway under test (`--import`): plants a bug in what is done for one client. `PLANTED_BUGS` names, as
 * JSON, by operation the user or the event for which it throws.
 */
import { createHash } from 'node:crypto';
import { DirectusCache } from '../../src/access/directus-cache.ts';
import { Clients } from '../../src/connection/clients.ts';
import { Connection } from '../../src/connection/connection.ts';
import { SubscriptionRegistry } from '../../src/subscriptions/subscription-registry.ts';

/** By operation the id of the user; for `upgrade` the session, for `reauthorise` and `register` the event. */
export type PlantedBugs = Readonly<
  Partial<
    Record<'upgrade' | 'open' | 'reply' | 'pong' | 'reauthorise' | 'register' | 'write' | 'sweep', string>
  >
>;

const bugs: PlantedBugs = JSON.parse(process.env['PLANTED_BUGS'] ?? '{}');
const hashOfSession = createHash('sha256')
  .update(bugs.upgrade ?? '')
  .digest('base64url');

/** Replaces a method by one that throws if `isHit`, called with `this` and the arguments. */
function plant<T extends object>(
  prototype: T,
  method: keyof T & string,
  isHit: (self: T, args: readonly unknown[]) => boolean,
): void {
  const original: unknown = Reflect.get(prototype, method);
  if (typeof original !== 'function') throw new TypeError(`there is no method ${method}`);
  Reflect.set(prototype, method, function withBug(this: T, ...args: unknown[]): unknown {
    if (isHit(this, args)) throw new Error(`planted bug in ${method}`);
    return Reflect.apply(original, this, args);
  });
}

plant(DirectusCache.prototype, 'get', (_cache, [key, , notBeforeMs]) =>
  bugs.reauthorise !== undefined && notBeforeMs !== undefined
    ? String(key).endsWith(bugs.reauthorise)
    : bugs.upgrade !== undefined && key === hashOfSession,
);
plant(Clients.prototype, 'add', (_clients, [client]) => {
  const viewer: unknown = Reflect.get(Object(client), 'viewer');
  return Reflect.get(Object(viewer), 'userId') === bugs.open;
});
plant(
  Connection.prototype,
  'reply',
  ({ viewer }, [frame]) => viewer.userId === bugs.reply && String(frame).includes('"pong"'),
);
plant(Connection.prototype, 'notePong', ({ viewer }) => viewer.userId === bugs.pong);
plant(Connection.prototype, 'writeFrames', ({ viewer }) => viewer.userId === bugs.write);
plant(Connection.prototype, 'isPingDue', ({ viewer }) => viewer.userId === bugs.sweep);
plant(SubscriptionRegistry.prototype, 'register', (_registry, [subscription]) => {
  const eventId: unknown = Reflect.get(Object(subscription), 'eventId');
  return eventId === bugs.register;
});
