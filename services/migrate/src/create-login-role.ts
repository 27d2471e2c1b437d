import type { Client } from 'pg';
import { scramVerifier } from './scram-verifier.ts';

/** A login role and the role of `grant_least_rights` or `grant_prune_rights` that it is a member of. */
export interface Login {
  readonly name: 'processor' | 'live_gateway' | 'pruner';
  readonly memberOf: 'tracking_processor' | 'tracking_gateway' | 'tracking_pruner';
  readonly password: string;
}

/** Creates a login role or changes its password. Rejects with Postgres' error if that is not allowed. */
export async function createLoginRole(client: Client, { name, memberOf, password }: Login): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [name]);
  const action = rowCount === 0 ? 'create' : 'alter';
  // Role statements take no parameters. The characters of a verifier are safe in a literal.
  await client.query(`${action} role ${name} login password '${scramVerifier(password)}'`);
  await client.query(`grant ${memberOf} to ${name}`);
}
