import { batchedCases } from './cases/batched.ts';
import { disconnectCases } from './cases/disconnects.ts';
import { handshakeCases } from './cases/handshake.ts';
import { bothDialectsCases } from './cases/messages.ts';
import { plainCases } from './cases/plain.ts';
import { resultsCases } from './cases/results.ts';
import { resumeCases } from './cases/resume.ts';
import { sessionCases } from './cases/sessions.ts';
import type { ConformanceCase } from './conformance-case.ts';

export const allCases: readonly ConformanceCase[] = [
  ...handshakeCases,
  ...bothDialectsCases,
  ...plainCases,
  ...batchedCases,
  ...resumeCases,
  ...resultsCases,
  ...disconnectCases,
  ...sessionCases,
];
