import { readArguments } from '../../src/read-arguments.ts';
import { runCommand } from '../../src/run-command.ts';

/** `./run results` with these arguments, in this process. */
export async function runResults(
  given: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const args = readArguments(given);
  if (!args) throw new Error('asks for help');
  let [stdout, stderr] = ['', ''];
  const code = await runCommand(args, env, {
    print: (line) => (stdout += `${line}\n`),
    printError: (line) => (stderr += `${line}\n`),
  });
  return { code, stdout, stderr };
}
