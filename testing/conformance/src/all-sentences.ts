import type { Sentence } from './sentence.ts';
import { batchedSentences } from './sentences/batched.ts';
import { bothDialectsSentences } from './sentences/messages.ts';
import { endingSentences } from './sentences/endings.ts';
import { handshakeSentences } from './sentences/handshake.ts';
import { plainSentences } from './sentences/plain.ts';
import { resumeSentences } from './sentences/resume.ts';

export const allSentences: readonly Sentence[] = [
  ...handshakeSentences,
  ...bothDialectsSentences,
  ...plainSentences,
  ...batchedSentences,
  ...resumeSentences,
  ...endingSentences,
];
