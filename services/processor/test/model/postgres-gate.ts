import { setTimeout as wait } from 'node:timers/promises';
import type postgres from 'postgres';
import { delayMs, type GatedProcess, lateMs } from '../support/redis-gate.ts';
import type { Fault } from './plan.ts';
import { fatalDevice } from './sent-log.ts';

/**
 * Returns the Postgres client of a processor instance: the pool that all of them share, in which each statement may have
 * a fault. After a silence no later statement of the client is answered; only a new client is.
 *
 * @param background gets statements that run on after the processor instance has given them up.
 */
export function gatePostgres(
  sql: postgres.Sql,
  process: GatedProcess<Fault['outcome']>,
  background: Promise<unknown>[],
): postgres.Sql {
  const never = new Promise<never>(() => undefined);
  let isSilent = false;
  const pass = async <T>(statement: string, values: readonly unknown[], execute: () => PromiseLike<T>) => {
    if (isSilent) return await never;
    const fault = await process.takeFault(statement.trim());
    // Stands for a driver that crashes on a certain row.
    if (String(values).includes(fatalDevice)) process.crash();
    await process.whenRunning();
    const { effect, execution = 'before', sqlState } = fault ?? {};
    const answer = execution === 'before' ? await execute() : undefined;
    if (execution === 'after') {
      const late = wait(effect === 'silence' ? lateMs : 0).then(execute);
      background.push(late.catch(() => undefined));
    }
    if (effect === 'error') throw postgresError(sqlState);
    if (effect === 'cut') throw postgresError('CONNECTION_CLOSED');
    if (effect === 'crash') process.crash();
    if (effect === 'delay') await wait(delayMs);
    if (effect === 'silence') isSilent = true;
    await process.whenRunning();
    return answer === undefined || isSilent ? await never : answer;
  };
  return new Proxy(sql, {
    apply: (target, self, args) => {
      const execute = (): postgres.PendingQuery<postgres.Row[]> => Reflect.apply(target, self, args);
      // Only a template is a statement: `sql(rows)` is a part of one.
      return args[0]?.raw === undefined ? execute() : pass(String(args[0]), args.slice(1), execute);
    },
    get(target, name, receiver) {
      if (name === 'end') return async () => undefined;
      if (name !== 'unsafe') return Reflect.get(target, name, receiver);
      return (...args: Parameters<postgres.Sql['unsafe']>) =>
        pass(args[0], args[1] ?? [], () => sql.unsafe(...args));
    },
  });
}

function postgresError(code = ''): Error {
  return Object.assign(new Error(`injected: ${code}`), { severity: 'ERROR', code });
}
