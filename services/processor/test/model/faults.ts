/** What a life of the processor does at its ports, one word for each place where something may go wrong. */
export type PortCall =
  // Redis, on the reader's connection
  | 'greet'
  | 'read'
  | 'rest'
  | 'look'
  | 'settle'
  | 'check'
  | 'own pending'
  | 'claim'
  | 'deliveries'
  // Redis, on the connection for commands
  | 'ack'
  | 'park'
  | 'mark'
  | 'unmark'
  // Postgres
  | 'insert'
  | 'compare'
  | 'hydrate'
  // the domain
  | 'hear';

/** What becomes of such a call instead of an answer. */
export type Trouble =
  /** Not carried out, and told so: LOADING, a transient SQLSTATE, a domain that throws. */
  | 'fails'
  /** Carried out; the connection breaks before the answer. */
  | 'answer lost'
  /** Not carried out; the connection breaks. */
  | 'cut'
  /** The connection breaks here and stays open at the server, which goes on with what it was asked. */
  | 'half-open'
  /** Carried out; no answer ever comes. */
  | 'silence'
  /** Carried out, but long after it was given up. */
  | 'late'
  /** Carried out and answered, after a while. */
  | 'slow'
  /** 57014: the server ended the statement because it took too long. */
  | 'too slow'
  /** An error of the set-up: the process is to end, with nothing parked. */
  | 'ours'
  /** The process dies before it is sent, while it is on its way, or after it was carried out. */
  | 'death before'
  | 'death meanwhile'
  | 'death after';

export interface Fault {
  readonly call: PortCall;
  readonly trouble: Trouble;
  /** How many such calls are let through first. */
  readonly skip: number;
}

/** The faults that wait for the call they are meant for. */
export class Faults {
  #armed: { fault: Fault; skip: number }[] = [];

  arm(fault: Fault): void {
    this.#armed.push({ fault, skip: fault.skip });
  }

  /** What is to become of this call; undefined: nothing special. */
  take(call: PortCall): Trouble | undefined {
    const index = this.#armed.findIndex(({ fault }) => fault.call === call);
    const armed = this.#armed[index];
    if (armed === undefined) return undefined;
    if (armed.skip > 0) {
      armed.skip -= 1;
      return undefined;
    }
    this.#armed.splice(index, 1);
    return armed.fault.trouble;
  }

  clear(): void {
    this.#armed = [];
  }
}
