import { runTool } from '@app/runtime/run-tool';
import { readArguments, usage } from './read-arguments.ts';
import { runCommand } from './run-command.ts';

process.exitCode = await runTool({
  name: 'results',
  usage,
  read: () => readArguments(process.argv.slice(2)),
  run: (args) =>
    runCommand(args, process.env, {
      print: (line) => console.log(line),
      printError: (line) => console.error(`results: ${line}`),
    }),
});
