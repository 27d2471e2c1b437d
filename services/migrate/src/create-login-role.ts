import type { Client } from 'pg';
import { scramVerifier } from './scram-verifier.ts';

/** Who may log in, and as a member of which role of `grant_least_rights`. */
export interface Login {
  readonly name: 'processor' | 'live_gateway';
  readonly memberOf: 'tracking_processor' | 'tracking_gateway';
  readonly password: string;
}

/** Makes a role that may log in, or gives it another password. Rejects with Postgres' error where that is not allowed. */
export async function createLoginRole(client: Client, { name, memberOf, password }: Login): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [name]);
  const action = rowCount === 0 ? 'create' : 'alter';
  // No statement about roles takes parameters. All of the verifier's characters are harmless in a literal.
  await client.query(`${action} role ${name} login password '${scramVerifier(password)}'`);
  await client.query(`grant ${memberOf} to ${name}`);
}
