import type { Redis } from 'ioredis';

/** A dead letter: what was sent, to the byte, and why it is there. */
export interface DeadLetter {
  /** Flat: name, value, name, value, …, each in hexadecimal. */
  readonly original: readonly string[];
  readonly reason: string | undefined;
}

export async function readDeadLetters(redis: Redis, stream: string): Promise<DeadLetter[]> {
  const entries = await redis.xrangeBuffer(`${stream}:dlq`, '-', '+');
  return entries.map(([, fields]) => {
    const original: string[] = [];
    let reason: string | undefined;
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const [name, value] = [fields[index] ?? Buffer.of(), fields[index + 1] ?? Buffer.of()];
      if (name.toString() === 'dlq_reason') reason = value.toString();
      if (!name.toString().startsWith('dlq_')) original.push(name.toString('hex'), value.toString('hex'));
    }
    return { original, reason };
  });
}
