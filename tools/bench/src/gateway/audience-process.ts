import { z } from 'zod';
import { Program } from '@app/test-kit/program';
import type { dialects } from './dialects.ts';

/** Who is in the audience, and where it goes. */
export interface Crowd {
  readonly url: string;
  readonly dialect: keyof typeof dialects;
  readonly members: number;
  readonly openPerS: number;
  readonly origin: string;
  /** Session cookies, shared out one after the other. */
  readonly sessions: readonly string[];
  readonly topic: string;
  /** `[west, south, east, north]`, shared out one after the other; none asks for everything. */
  readonly boxes: readonly (readonly number[])[];
  /** Connect from these, for one address has only some 28,000 ports. */
  readonly localAddresses: readonly string[];
  /** Reads every position and its age; others only count frames. */
  readonly readsPositions: boolean;
  /** Keeps what it takes to resume. */
  readonly resumes: boolean;
}

export type Command =
  | { readonly do: 'open'; readonly crowd: Crowd }
  | { readonly do: 'count' | 'report' }
  | { readonly do: 'record'; readonly forMs: number; readonly file: string }
  | { readonly do: 'stall'; readonly members: number }
  | { readonly do: 'come-back'; readonly withinMs: number };

/** What came since it was last told to count. */
const heard = z.object({
  frames: z.number(),
  bytes: z.number(),
  /** From the fix, which is stamped when it is sent, to its arrival. */
  latenciesMs: z.array(z.number()),
  /** How many were closed by the server, ever. */
  closed: z.number(),
});

/** All are back: when the last one was live, from the cut on, and how many had only missed something. */
const back = z.object({ liveAfterMs: z.number(), recovered: z.number() });

/** What some clients got: what the raw limit sends again. */
export interface Recording {
  readonly forMs: number;
  readonly clients: number;
  /** In the order in which they came; `client` counts from 0. */
  readonly frames: readonly { readonly atMs: number; readonly client: number; readonly text: string }[];
}

export type Heard = z.infer<typeof heard>;
export type Back = z.infer<typeof back>;

export interface Audience extends AsyncDisposable {
  /** Resolves once all are live. */
  open(crowd: Crowd): Promise<void>;
  /** Counts from 0 again. */
  count(): Promise<void>;
  report(): Promise<Heard>;
  record(forMs: number, file: string): Promise<void>;
  stall(members: number): Promise<void>;
  comeBack(withinMs: number): Promise<Back>;
}

/** Starts a process that holds clients. */
export function startAudience(): Audience {
  // A report has the latency of every position.
  const program = new Program({ main: new URL('audience.ts', import.meta.url), keptLines: 10 });
  let numbers = 0;
  async function ask(command: Command): Promise<unknown> {
    numbers += 1;
    const number = numbers;
    program.send({ number, command });
    const { answer, failure } = await program.line((line) => (line['number'] === number ? line : undefined));
    if (typeof failure === 'string') throw new Error(`${command.do}: ${failure}`);
    return answer;
  }
  return {
    open: async (crowd) => void (await ask({ do: 'open', crowd })),
    count: async () => void (await ask({ do: 'count' })),
    report: async () => heard.parse(await ask({ do: 'report' })),
    record: async (forMs, file) => void (await ask({ do: 'record', forMs, file })),
    stall: async (members) => void (await ask({ do: 'stall', members })),
    comeBack: async (withinMs) => back.parse(await ask({ do: 'come-back', withinMs })),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
