import type postgres from 'postgres';

/**
 * Wraps a pool so that its statements need no session, for a pooler that may run each on another server connection: a
 * statement is sent as one simple query that sets its own timeout, with its values as literals. One message is one
 * transaction, so that nothing is left in the server's session, and a process that is frozen leaves no transaction open,
 * as it could between BEGIN and COMMIT.
 *
 * Other statements than templates and `unsafe` are passed on unchanged. A template within a template is refused.
 */
export function withoutSession(sql: postgres.Sql, statementTimeoutMs: number): postgres.Sql {
  const run = async (statement: string): Promise<unknown> => {
    const timed = `set local statement_timeout = ${statementTimeoutMs};${statement}`;
    // A list of both results, or the second one alone if it has no rows.
    const results: readonly unknown[] = await sql.unsafe(timed);
    return Array.isArray(results[0]) ? results.at(-1) : results;
  };
  return new Proxy(sql, {
    apply: (target, self, args: readonly unknown[]) => {
      const [strings, ...values] = args;
      // Only a template is a statement: `sql(rows)` is a part of one.
      if (!Array.isArray(strings) || !('raw' in strings)) return Reflect.apply(target, self, args);
      return run(String.raw({ raw: strings }, ...values.map(literal)));
    },
    get(target, name, receiver) {
      if (name !== 'unsafe') return Reflect.get(target, name, receiver);
      return (statement: string, values: readonly unknown[] = []) =>
        run(statement.replaceAll(/\$(\d+)/gu, (_, number: string) => literal(values[Number(number) - 1])));
    },
  });
}

/** A string literal; like a parameter, it takes the type that its place has. */
function literal(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new TypeError(`a ${typeof value} cannot be sent as a literal`);
  }
  const text = String(value);
  // It would end the message.
  if (text.includes('\0')) throw new TypeError('a string with a null character cannot be sent as a literal');
  const quoted = `'${text.replaceAll("'", "''")}'`;
  // Whatever standard_conforming_strings is, a backslash in this form is escaped by another.
  return quoted.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
