import { setTimeout as wait } from 'node:timers/promises';
import type postgres from 'postgres';
import type { PortCall, Trouble } from './faults.ts';

export interface PostgresGateOptions {
  /** The real one, shared by all lives. */
  readonly sql: postgres.Sql;
  /** Decides about a statement before it goes to Postgres. Resolves when it may go on: a stopped process sends nothing. */
  readonly judge: (call: PortCall, values: readonly unknown[]) => Promise<Trouble | undefined>;
  /** Resolves when an answer may go back. Rejects in a life that is over. */
  readonly passage: () => Promise<void>;
  readonly die: () => void;
  /** Takes what goes on after the statement was given up. */
  readonly afterwards: (work: Promise<unknown>) => void;
}

const slowMs = 25;
/** Beyond the deadline of a statement here, and beyond a first retry. */
const lateMs = 1300;
/** Undefined table: what a missing migration gives. */
export const oursState = '42P01';
const passing = ['57P01', '40001', '53300', '55P03', '25006', '08006', undefined];
let passingTurn = 0;

/**
 * One client of Postgres as a life of the processor has it: the real one, behind troubles. Where an answer never
 * came, none comes to any later statement: only another client gets through, as with a real black hole.
 */
export function gatePostgres(options: PostgresGateOptions): postgres.Sql {
  const client = { isSilent: false };
  return new Proxy(options.sql, {
    apply: (sql, self, args) => {
      const [, ...values] = args;
      return pass('hydrate', values, () => Reflect.apply(sql, self, args), client, options);
    },
    get(sql, name, receiver) {
      if (name === 'end') return async () => undefined;
      if (name !== 'unsafe') return Reflect.get(sql, name, receiver);
      return (...args: Parameters<postgres.Sql['unsafe']>) => {
        const call = args[0].includes('insert into') ? 'insert' : 'compare';
        return pass(call, args[1] ?? [], () => sql.unsafe(...args), client, options);
      };
    },
  });
}

async function pass<T>(
  call: PortCall,
  values: readonly unknown[],
  run: () => PromiseLike<T>,
  client: { isSilent: boolean },
  { judge, passage, die, afterwards }: PostgresGateOptions,
): Promise<T> {
  if (client.isSilent) return await never();
  const trouble = await judge(call, values);
  switch (trouble) {
    case 'fails':
      throw passingError();
    case 'cut':
    case 'half-open':
      throw brokenConnection();
    case 'too slow':
      throw serverError('57014');
    case 'ours':
      throw serverError(oursState);
    case 'death before':
      die();
      break;
    case 'death meanwhile':
      afterwards(Promise.resolve(run()));
      die();
      break;
    case 'late':
      client.isSilent = true;
      afterwards(wait(lateMs).then(run));
      return await never();
    case 'slow':
    case 'answer lost':
    case 'silence':
    case 'death after':
    case undefined:
  }
  await passage();
  const answer = await run();
  if (trouble === 'answer lost') throw brokenConnection();
  if (trouble === 'silence') {
    client.isSilent = true;
    return await never();
  }
  if (trouble === 'death after') die();
  if (trouble === 'slow') await wait(slowMs);
  await passage();
  return answer;
}

function passingError(): Error {
  passingTurn += 1;
  const state = passing[passingTurn % passing.length];
  return state === undefined ? brokenConnection() : serverError(state);
}

function serverError(state: string): Error {
  return Object.assign(new Error(`planted: SQLSTATE ${state}`), { severity: 'ERROR', code: state });
}

function brokenConnection(): Error {
  return Object.assign(new Error('planted: the connection broke'), { code: 'CONNECTION_CLOSED' });
}

async function never(): Promise<never> {
  return await new Promise(() => undefined);
}
