import type { Redis } from 'ioredis';

/** A dead letter with the bytes sent and its reason. */
export interface DeadLetter {
  /** Names and values in turn, in hexadecimal. */
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
