// Owns what the file of a command is given by the program (program.ts).

import type { Context } from './context.ts'
import type { ExitCode } from './exit-code.ts'

/** What a command's file gets: `cli.action` turns its result into the exit code of the process. */
export type CommandLine = {
  action<Arguments extends unknown[]>(
    run: (context: Context, ...input: Arguments) => Promise<ExitCode>,
  ): (...input: Arguments) => Promise<void>
}
