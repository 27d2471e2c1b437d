import { acceptRows, refuseRows } from '@app/processor/testing/refuse-rows';
import { between } from '@app/fleet-sim/random';
import { onServer } from '@app/test-kit/database';
import type { Sql } from 'postgres';
import { type Fault, pick, seconds } from './fault.ts';
import { networkFaults } from './network-faults.ts';
import { serverFaults } from './server-faults.ts';

export const postgresFaults: readonly Fault[] = [
  ...networkFaults('postgres', 'Postgres', ({ toPostgres }) => toPostgres, 100),
  ...serverFaults('postgres', 'Postgres', ({ ownPostgres }) => ownPostgres),
  {
    name: 'backends terminated',
    target: 'postgres',
    run: async ({ harness: { ownPostgres }, random, log, hold }) => {
      const times = pick(random, [1, 3, 10]);
      log(`all backends of the processors terminated, ${times} times`);
      await onServer(ownPostgres.url, async (admin) => {
        for (let n = 0; n < times; n += 1) {
          await terminateProcessors(admin);
          await hold(between(random, 0, 200));
        }
      });
    },
  },
  {
    name: 'table locked',
    target: 'postgres',
    run: async ({ harness: { ownPostgres }, random, log, hold }) => {
      const lockedMs = between(random, 500, 3500);
      log(`table locked for ${seconds(lockedMs)}`);
      await onServer(ownPostgres.url, async (admin) => {
        await admin.begin(async (transaction) => {
          await transaction`lock table positions in access exclusive mode`;
          await hold(lockedMs);
        });
      });
    },
  },
  {
    name: 'read-only',
    target: 'postgres',
    run: async ({ harness: { ownPostgres }, random, log, hold }) => {
      const readOnlyMs = between(random, 500, 3000);
      log(`database read-only for ${seconds(readOnlyMs)}`);
      await onServer(ownPostgres.url, async (admin) => {
        await admin`alter database postgres set default_transaction_read_only = on`;
        try {
          await terminateProcessors(admin);
          await hold(readOnlyMs);
        } finally {
          await admin`alter database postgres reset default_transaction_read_only`;
        }
      });
    },
  },
  {
    name: 'disk full',
    target: 'postgres',
    run: async ({ harness: { ownPostgres }, random, log, hold }) => {
      const fullMs = between(random, 500, 3000);
      log(`disk full (53100 for each row) for ${seconds(fullMs)}`);
      await onServer(ownPostgres.url, async (admin) => {
        await refuseRows(admin, '*', '53100');
        try {
          await hold(fullMs);
        } finally {
          await acceptRows(admin, '*');
        }
      });
    },
  },
];

async function terminateProcessors(admin: Sql): Promise<void> {
  await admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'processor%'`;
}
