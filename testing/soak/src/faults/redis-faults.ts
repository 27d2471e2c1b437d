import type { Fault } from './fault.ts';
import { networkFaults } from './network-faults.ts';
import { serverFaults } from './server-faults.ts';

export const redisFaults: readonly Fault[] = [
  ...networkFaults('redis', 'Redis', ({ toRedis }) => toRedis, 30),
  ...serverFaults('redis', 'Redis', ({ ownRedis }) => ownRedis),
];
