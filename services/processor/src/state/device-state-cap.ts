import type { Metrics } from '../metrics.ts';

/** The states of one stream. */
interface States {
  readonly size: number;
  /** Evicts the least recently updated one. */
  pop(): unknown;
}

/** The limit on the device states of all streams of this process together. */
export class DeviceStateCap {
  readonly cap: number;
  readonly #metrics: Metrics;
  readonly #streams: States[] = [];

  constructor(cap: number, metrics: Metrics) {
    this.cap = cap;
    this.#metrics = metrics;
  }

  add(states: States): void {
    this.#streams.push(states);
  }

  /** Evicts the least recently updated states of the stream with most states until the cap is kept. */
  enforce(): void {
    let size = this.#streams.reduce((sum, states) => sum + states.size, 0);
    for (; size > this.cap; size -= 1) {
      this.#streams.reduce((most, states) => (states.size > most.size ? states : most)).pop();
    }
    this.#metrics.deviceStateSize.set(size);
  }
}
