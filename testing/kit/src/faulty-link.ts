import { connect, type Socket } from 'node:net';

export type Direction = 'both' | 'toServer' | 'toClient';

/** One connection through a faulty network: the client's socket, ours to the server, and a pipe each way. */
export class Link {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #toServer: Pipe;
  readonly #toClient: Pipe;
  readonly #onGone: () => void;

  constructor(client: Socket, target: { readonly host: string; readonly port: number }, onGone: () => void) {
    this.#client = client;
    this.#server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    this.#toServer = new Pipe(client, this.#server);
    this.#toClient = new Pipe(this.#server, client);
    this.#onGone = onGone;
    for (const socket of [this.#client, this.#server]) {
      // A reset is passed on, like everything else; 'close' comes after it.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#forgetWhenClosed();
      });
    }
  }

  delay(ms: number, direction: 'toServer' | 'toClient'): void {
    this.#pipe(direction).delayMs = ms;
  }

  swallow(direction: 'toServer' | 'toClient'): void {
    this.#pipe(direction).swallow();
  }

  abandonClient(): void {
    this.#toServer.swallow();
    this.#toClient.swallow();
  }

  heal(): void {
    for (const pipe of [this.#toServer, this.#toClient]) {
      if (pipe.heal() === 'has lost bytes') this.reset();
    }
  }

  reset(): void {
    this.#toServer.stop();
    this.#toClient.stop();
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  #pipe(direction: 'toServer' | 'toClient'): Pipe {
    return direction === 'toServer' ? this.#toServer : this.#toClient;
  }

  #forgetWhenClosed(): void {
    if (this.#client.destroyed && this.#server.destroyed) this.#onGone();
  }
}

type Parcel = { readonly dueAtMs: number } & (
  | { readonly bytes: Buffer }
  | { readonly ending: 'end' | 'reset' }
);

/** One direction of a link. Keeps the order, whatever the delays. */
class Pipe {
  delayMs = 0;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #onTheWay: Parcel[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isSwallowing = false;
  #hasLostBytes = false;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    let isEnded = false;
    from.on('data', (bytes: Buffer) => {
      this.#take({ bytes, dueAtMs: this.#dueAtMs() });
    });
    from.on('end', () => {
      isEnded = true;
      this.#take({ ending: 'end', dueAtMs: this.#dueAtMs() });
    });
    from.on('close', (hasFailed) => {
      // Without an 'end' it was a reset, or a server that could not be reached.
      if (hasFailed || !isEnded) this.#take({ ending: 'reset', dueAtMs: this.#dueAtMs() });
    });
    to.on('drain', () => from.resume());
  }

  swallow(): void {
    this.#isSwallowing = true;
    if (this.#onTheWay.length > 0) this.#hasLostBytes = true;
    this.stop();
    // What waits in the kernel for a slow reader is lost as well.
    this.#from.resume();
  }

  heal(): 'is whole' | 'has lost bytes' {
    this.delayMs = 0;
    this.#isSwallowing = false;
    return this.#hasLostBytes ? 'has lost bytes' : 'is whole';
  }

  /** Drops what is on the way. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#onTheWay.length = 0;
  }

  #dueAtMs(): number {
    return Math.max(performance.now() + this.delayMs, this.#onTheWay.at(-1)?.dueAtMs ?? 0);
  }

  #take(parcel: Parcel): void {
    if (this.#isSwallowing) {
      this.#hasLostBytes = true;
      return;
    }
    if (this.#onTheWay.length === 0 && this.delayMs === 0) {
      this.#deliver(parcel);
      return;
    }
    this.#onTheWay.push(parcel);
    this.#schedule();
  }

  #schedule(): void {
    const [next] = this.#onTheWay;
    if (next === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#deliverDue();
        this.#schedule();
      },
      Math.max(0, next.dueAtMs - performance.now()),
    );
  }

  #deliverDue(): void {
    const nowMs = performance.now();
    while (this.#onTheWay[0] !== undefined && this.#onTheWay[0].dueAtMs <= nowMs) {
      const parcel = this.#onTheWay.shift();
      if (parcel !== undefined) this.#deliver(parcel);
    }
  }

  #deliver(parcel: Parcel): void {
    if (this.#to.destroyed) return;
    if ('bytes' in parcel) {
      // A slow reader slows the sender down, as without this network.
      if (!this.#to.write(parcel.bytes)) this.#from.pause();
    } else if (parcel.ending === 'end') {
      this.#to.end();
    } else {
      this.#to.resetAndDestroy();
    }
  }
}
