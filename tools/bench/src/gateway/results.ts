import type { Machine } from '../describe-machine.ts';
import type { ServerSettings } from '../servers.ts';
import type { FanOutResults } from './bench-fan-out.ts';
import type { IdleResults } from './bench-idle.ts';
import type { SlowResults } from './bench-slow.ts';
import type { StormResults } from './bench-storm.ts';

export interface GatewayResults {
  readonly machine: Machine;
  readonly servers: ServerSettings;
  readonly fanout: FanOutResults;
  readonly idle: IdleResults;
  readonly storm: StormResults;
  readonly slow: SlowResults;
}
