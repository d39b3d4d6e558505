// Owns the interface that the program (program.ts) gives to the file of each command.

import type { Context } from './context.ts'
import type { ExitCode } from './exit-code.ts'

/** `action` turns the result of a command into the exit code of the process. */
export type CommandLine = {
  action<Arguments extends unknown[]>(
    run: (context: Context, ...input: Arguments) => Promise<ExitCode>,
  ): (...input: Arguments) => Promise<void>
}
