import { Machine } from '../../src/machine.ts';
import type { Action, Input, SessionRequest } from '../../src/machine.ts';
import type { View } from '../../src/topic.ts';

export const topic = 'event:0190c5de-7a5b-7000-8000-000000000001';
export const otherTopic = 'event:0190c5de-7a5b-7000-8000-000000000002';

/** A message of the client, parsed. */
export type Sent = Readonly<Record<string, unknown>>;

/** Drives a machine with a manual clock. */
export class MachineDriver {
  readonly machine: Machine;
  nowMs = 1_000_000;
  /** Actions of the last input. */
  actions: readonly Action[] = [];

  constructor(
    options: {
      readonly topics?: readonly string[];
      readonly view?: View;
      readonly sessionRequests?: readonly SessionRequest[];
      readonly random?: () => number;
    } = {},
  ) {
    this.machine = new Machine({
      topics: options.topics ?? [topic],
      view: options.view ?? {},
      sessionRequests: options.sessionRequests ?? [],
      random: options.random ?? (() => 0.5),
    });
  }

  dispatch(input: Input): readonly Action[] {
    this.actions = this.machine.handle(input, this.nowMs);
    return this.actions;
  }

  receive(message: object): readonly Action[] {
    return this.dispatch({ type: 'message', data: JSON.stringify(message) });
  }

  close(code: number, reason = ''): readonly Action[] {
    return this.dispatch({ type: 'close', code, reason });
  }

  after(ms: number, input: Input = { type: 'timer' }): readonly Action[] {
    this.nowMs += ms;
    return this.dispatch(input);
  }

  /** Moves the clock to `timerAtMs` and dispatches `timer`. */
  runTimer(): readonly Action[] {
    return this.after(this.timerInMs);
  }

  get timerInMs(): number {
    return Math.max(0, this.machine.timerAtMs - this.nowMs);
  }

  get state(): string {
    return this.machine.state;
  }

  /** Messages among the last actions. */
  get sent(): readonly Sent[] {
    return this.actions.flatMap((action): Sent[] =>
      action.type === 'send' ? [JSON.parse(action.data)] : [],
    );
  }

  get actionTypes(): readonly string[] {
    return this.actions.map((action) => action.type);
  }

  open(): readonly Action[] {
    return this.dispatch({ type: 'open', protocol: 'live.v1' });
  }

  /** Connects, and subscribes to an empty event with a cursor. */
  goLive(cursor = 'c1', epoch = 'e1'): this {
    if (this.machine.timerAtMs === Infinity) this.dispatch({ type: 'start' });
    else this.runTimer();
    this.open();
    const ids = this.sent.map(({ id, topic: name }) => ({ id, name }));
    for (const { id, name } of ids) {
      this.receive({ type: 'subscribed', topic: name, id, epoch, recovered: false, devices: 0 });
      this.receive({ type: 'snapshot', topic: name, part: 0, rows: [], last: true, cursor });
    }
    return this;
  }
}

/** A row of the batched dialect, near 46° N 8° E. */
export function rowAt(
  deviceId: string,
  ts: number,
  lon = 8,
): [string, number, number, number, number, null, number] {
  return [deviceId, lon, 46, ts, 50, null, 500];
}
