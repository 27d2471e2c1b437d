import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { PortCall, Trouble } from './faults.ts';
import { readResp, type RespMessage, type RespValue } from './resp.ts';

/** One command of the processor, on its way to Redis. */
export interface GatedCommand {
  /** Undefined for what no fault is meant for: greetings, PING, the parts of a MULTI before its EXEC. */
  readonly call: PortCall | undefined;
  /** Name and arguments as texts. */
  readonly words: readonly string[];
}

export interface RedisGateOptions {
  readonly redisUrl: string;
  /** Decides about a command before it goes to Redis. Resolves when it may go on: a stopped process sends nothing. */
  readonly judge: (command: GatedCommand) => Promise<Trouble | undefined>;
  /** A command goes to Redis; whether it is carried out, nobody may ever learn. */
  readonly sent: (command: GatedCommand) => void;
  /** Redis has carried a command out; the processor may never learn of it. */
  readonly carriedOut: (command: GatedCommand, reply: RespValue) => void;
  /** The processor has dealt with a reply: it sent the next command on the same connection. */
  readonly dealtWith: (command: GatedCommand, reply: RespValue) => void;
  /** Resolves when a reply may go back. */
  readonly passage: () => Promise<void>;
  readonly die: () => void;
}

const slowMs = 25;
/** Beyond what the processor waits for here. */
const lateMs = 700;

/**
 * The network between one life of the processor and the real Redis: it reads the protocol, so that a fault hits
 * exactly the command that it is meant for. One command at a time on each connection.
 */
export class RedisGate implements AsyncDisposable {
  readonly #options: RedisGateOptions;
  readonly #server: Server;
  readonly #connections = new Set<GatedConnection>();
  readonly #orphans = new Set<Socket>();
  #isDown = false;

  private constructor(options: RedisGateOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  static async open(options: RedisGateOptions): Promise<RedisGate> {
    const gate = new RedisGate(options);
    gate.#server.listen(0, '127.0.0.1');
    await once(gate.#server, 'listening');
    return gate;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the gate is closed');
    return `redis://127.0.0.1:${address.port}`;
  }

  /** A read waits in Redis for new entries. */
  get isBlocked(): boolean {
    return [...this.#connections].some((connection) => connection.isBlocked);
  }

  /** Breaks every connection. `isHalfOpen`: Redis does not notice. */
  breakAll(isHalfOpen: boolean): void {
    for (const connection of this.#connections) connection.break(isHalfOpen);
  }

  /** While down, a new connection is broken at once. */
  setDown(isDown: boolean): void {
    this.#isDown = isDown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDown = true;
    this.breakAll(false);
    for (const orphan of this.#orphans) orphan.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    client.on('error', () => undefined);
    if (this.#isDown) {
      client.destroy();
      return;
    }
    const connection = new GatedConnection(client, this.#options, this.#orphans);
    this.#connections.add(connection);
    client.once('close', () => this.#connections.delete(connection));
  }
}

class GatedConnection {
  readonly #client: Socket;
  readonly #redis: Socket;
  readonly #options: RedisGateOptions;
  readonly #orphans: Set<Socket>;
  #requests: Buffer = Buffer.alloc(0);
  #replies: Buffer = Buffer.alloc(0);
  #awaitingReply: ((message: RespMessage & { readonly raw: Buffer }) => void) | undefined;
  #isServing = false;
  #isBlocked = false;
  /** No answer goes back any more; the next one would be taken for the one that is missing. */
  #isSilent = false;
  #isHalfOpen = false;
  #queued: readonly string[][] | undefined;
  #undealt: { readonly command: GatedCommand; readonly reply: RespValue } | undefined;

  constructor(client: Socket, options: RedisGateOptions, orphans: Set<Socket>) {
    this.#client = client;
    this.#options = options;
    this.#orphans = orphans;
    const { hostname, port } = new URL(options.redisUrl);
    this.#redis = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#redis.on('error', () => undefined);
    this.#redis.on('data', (bytes: Buffer) => this.#hearReply(bytes));
    this.#redis.once('close', () => client.destroy());
    client.on('data', (bytes: Buffer) => {
      this.#requests = Buffer.concat([this.#requests, bytes]);
      if (!this.#isServing) void this.#serve();
    });
    client.once('close', () => {
      if (!this.#isHalfOpen) this.#redis.destroy();
    });
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  break(isHalfOpen: boolean): void {
    this.#isSilent = true;
    this.#isHalfOpen = isHalfOpen;
    if (isHalfOpen) this.#orphans.add(this.#redis);
    this.#client.destroy();
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    for (;;) {
      const request = readResp(this.#requests, 0);
      if (request === undefined) break;
      const bytes = this.#requests.subarray(0, request.end);
      this.#requests = this.#requests.subarray(request.end);
      if (!Array.isArray(request.value)) throw new Error('a Redis client sent something that is no command');
      await this.#pass(this.#classify(request.value.map(String)), bytes);
      if (this.#isSilent) return;
    }
    this.#isServing = false;
  }

  async #pass(command: GatedCommand, bytes: Buffer): Promise<void> {
    if (this.#undealt !== undefined) this.#options.dealtWith(this.#undealt.command, this.#undealt.reply);
    this.#undealt = undefined;
    const trouble = await this.#options.judge(command);
    if (this.#isSilent) return;
    switch (trouble) {
      case 'cut':
        return this.break(false);
      case 'half-open':
        this.#send(command, bytes);
        return this.break(true);
      case 'death before':
        return this.#options.die();
      case 'death meanwhile':
        this.#send(command, bytes);
        return this.#options.die();
      case 'fails':
      case 'too slow':
      case 'ours':
        this.#client.write('-LOADING Redis is loading the dataset in memory\r\n');
        return;
      case 'late':
        this.#isSilent = true;
        await wait(lateMs);
        await this.#exchange(command, bytes);
        return;
      case 'slow':
      case 'answer lost':
      case 'silence':
      case 'death after':
      case undefined:
    }
    const { raw, value } = await this.#exchange(command, bytes);
    if (trouble === 'answer lost') return this.break(false);
    if (trouble === 'death after') return this.#options.die();
    if (trouble === 'silence') this.#isSilent = true;
    if (trouble === 'slow') await wait(slowMs);
    await this.#options.passage();
    if (this.#isSilent) return;
    this.#undealt = { command, reply: value };
    this.#client.write(raw);
  }

  async #exchange(command: GatedCommand, bytes: Buffer): Promise<RespMessage & { readonly raw: Buffer }> {
    const { promise, resolve } = Promise.withResolvers<RespMessage & { readonly raw: Buffer }>();
    this.#awaitingReply = resolve;
    this.#isBlocked = command.call === 'read';
    this.#send(command, bytes);
    const message = await promise;
    this.#isBlocked = false;
    this.#options.carriedOut(command, message.value);
    return message;
  }

  #send(command: GatedCommand, bytes: Buffer): void {
    this.#options.sent(command);
    this.#redis.write(bytes);
  }

  #hearReply(bytes: Buffer): void {
    this.#replies = this.#replies.length === 0 ? bytes : Buffer.concat([this.#replies, bytes]);
    const message = readResp(this.#replies, 0);
    if (message === undefined) return;
    const raw = this.#replies.subarray(0, message.end);
    this.#replies = this.#replies.subarray(message.end);
    const resolve = this.#awaitingReply;
    this.#awaitingReply = undefined;
    resolve?.({ ...message, raw });
  }

  #classify(words: readonly string[]): GatedCommand {
    const [name = ''] = words;
    if (name.toUpperCase() === 'MULTI') this.#queued = [];
    else if (name.toUpperCase() === 'EXEC') {
      const all = (this.#queued ?? []).flat();
      this.#queued = undefined;
      return { call: all.includes('XREADGROUP') ? 'check' : 'look', words: all };
    } else if (this.#queued !== undefined) {
      this.#queued = [...this.#queued, [...words]];
      return { call: undefined, words };
    }
    return { call: portCallOf(words), words };
  }
}

function portCallOf(words: readonly string[]): PortCall | undefined {
  switch (words[0]?.toUpperCase()) {
    case 'XREADGROUP':
      if (words.includes('BLOCK')) return 'read';
      return words.at(-1) === '>' ? 'rest' : 'own pending';
    case 'XGROUP':
      return 'greet';
    case 'XAUTOCLAIM':
      return 'claim';
    case 'XPENDING':
      return 'deliveries';
    case 'XACK':
      return 'ack';
    case 'XADD':
      return 'park';
    case 'EVAL':
      return words[1]?.includes('ENTRIESREAD') === true ? 'settle' : undefined;
    case 'HSET':
      return 'mark';
    case 'HDEL':
      return 'unmark';
    default:
      return undefined;
  }
}
