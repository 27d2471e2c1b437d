import { Machine } from '../../src/machine.ts';
import type { Action, Input, Question } from '../../src/machine.ts';
import type { View } from '../../src/topic.ts';

export const topic = 'event:0190c5de-7a5b-7000-8000-000000000001';
export const otherTopic = 'event:0190c5de-7a5b-7000-8000-000000000002';

/** What the client sent, as the server reads it. */
export type Sent = Readonly<Record<string, unknown>>;

/** Leads a machine through a history, with a clock that stands until it is moved. */
export class Lead {
  readonly machine: Machine;
  nowMs = 1_000_000;
  /** Of the last input. */
  actions: readonly Action[] = [];

  constructor(
    options: {
      readonly topics?: readonly string[];
      readonly view?: View;
      readonly canAsk?: readonly Question[];
      readonly random?: () => number;
    } = {},
  ) {
    this.machine = new Machine({
      topics: options.topics ?? [topic],
      view: options.view ?? {},
      canAsk: options.canAsk ?? [],
      random: options.random ?? (() => 0.5),
    });
  }

  tell(input: Input): readonly Action[] {
    this.actions = this.machine.handle(input, this.nowMs);
    return this.actions;
  }

  hear(message: object): readonly Action[] {
    return this.tell({ is: 'heard', text: JSON.stringify(message) });
  }

  close(code: number, reason = ''): readonly Action[] {
    return this.tell({ is: 'closed', code, reason });
  }

  after(ms: number, input: Input = { is: 'due' }): readonly Action[] {
    this.nowMs += ms;
    return this.tell(input);
  }

  /** Moves the clock to the next thing that is due, and does it. */
  untilDue(): readonly Action[] {
    return this.after(this.waitMs);
  }

  get waitMs(): number {
    return Math.max(0, this.machine.dueAtMs - this.nowMs);
  }

  get state(): string {
    return this.machine.state;
  }

  /** The messages among the last actions. */
  get sent(): readonly Sent[] {
    return this.actions.flatMap((action): Sent[] => (action.do === 'send' ? [JSON.parse(action.text)] : []));
  }

  /** What the last actions were. */
  get done(): readonly string[] {
    return this.actions.map((action) => action.do);
  }

  open(): readonly Action[] {
    return this.tell({ is: 'opened', protocol: 'live.v1' });
  }

  /** From the beginning, or from a wait, to `live` with an empty event and a cursor. */
  goLive(cursor = 'c1', epoch = 'e1'): this {
    if (this.machine.dueAtMs === Infinity) this.tell({ is: 'started' });
    else this.untilDue();
    this.open();
    const ids = this.sent.map(({ id, topic: name }) => ({ id, name }));
    for (const { id, name } of ids) {
      this.hear({ type: 'subscribed', topic: name, id, epoch, recovered: false, devices: 0 });
      this.hear({ type: 'snapshot', topic: name, part: 0, rows: [], last: true, cursor });
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
