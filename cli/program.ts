// Owns the list of commands, and turns arguments into an exit code. The file of a command imports
// its clients only when the command runs, so that `--help` and wrong usage answer at once.

import { Command, type OutputConfiguration } from 'commander'
import { addAuditCommand } from './audit/audit-command.ts'
import type { CommandLine } from './command-line.ts'
import { addFailbackCommand } from './commands/failback.ts'
import { addFailoverCommand } from './commands/failover.ts'
import { addGroupsCommand, addSyncCommand } from './commands/groups.ts'
import { addIncidentsCommand } from './commands/incidents.ts'
import { addInitCommand } from './commands/init.ts'
import { addProduceCommand } from './commands/produce.ts'
import { addResetTopicCommand } from './commands/reset-topic.ts'
import { addResumeCommand } from './commands/resume.ts'
import { addRunCommand } from './commands/run.ts'
import { addStatusCommand } from './commands/status.ts'
import { addTopicsCommand } from './commands/topics.ts'
import { addTranslateCommand } from './commands/translate.ts'
import { createContext } from './context.ts'
import { addDrillCommand } from './drill/drill-command.ts'
import { type ExitCode, exitCode } from './exit-code.ts'
import { describeFailure, describeStack } from './failure.ts'
import { addImportCommand } from './import/import-command.ts'

const environmentHelp = `
Environment:
  GAPLESS_CONFIG     path of the configuration (default: ./gapless.yml)
  GAPLESS_TABLE      name of the DynamoDB table (default: gapless)
  AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...
  GAPLESS_DEBUG=1    adds stack traces to errors

Exit codes:
  0 all well, 1 failed, 2 wrong usage or configuration, 3 a partition is halted, or a
  fail-over waits for a person, 4 an audit found a difference

Every command explains itself: gapless COMMAND --help`

/** Runs one command. Never rejects: every failure is a line on standard error. */
export async function runCommandLine(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<ExitCode> {
  const context = createContext(env)
  let result: ExitCode = exitCode.ok
  const cli: CommandLine = {
    action:
      run =>
      async (...input) => {
        result = await run(context, ...input)
      },
  }
  try {
    await createProgram(cli).parseAsync(args, { from: 'user' })
  } catch (error) {
    const failure = describeFailure(error)
    for (const line of [...failure.lines, ...describeStack(error, env.GAPLESS_DEBUG)]) {
      context.note(line)
    }
    result = failure.exitCode
  }
  await context.close()
  return result
}

function createProgram(cli: CommandLine): Command {
  const output: OutputConfiguration = {
    writeErr: text => process.stderr.write(text),
    // Commander puts its suggestion ("Did you mean ...") on a second line; an error is one line.
    outputError: (text, write) => write(`${text.trim().replace(/\s*\n\s*/g, ' ')}\n`),
  }
  const program = new Command('gapless')
    .description('Replicates Kafka topics to a standby cluster and accounts for every offset.')
    .exitOverride()
    .configureOutput(output)
    .showHelpAfterError(false)
    .addHelpText('after', environmentHelp)
    .helpCommand(false)
  addInitCommand(program, cli)
  addImportCommand(program, cli)
  addRunCommand(program, cli)
  addStatusCommand(program, cli)
  addGroupsCommand(program, cli)
  addSyncCommand(program, cli)
  addIncidentsCommand(program, cli)
  addResumeCommand(program, cli)
  addFailoverCommand(program, cli)
  addFailbackCommand(program, cli)
  addDrillCommand(program, cli)
  addAuditCommand(program, cli)
  addTranslateCommand(program, cli)
  addTopicsCommand(program, cli)
  addResetTopicCommand(program, cli)
  addProduceCommand(program, cli)
  return program
}
