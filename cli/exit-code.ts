// Owns what the exit code of a command says; scripts and docs/CLI.md depend on it.

export const exitCode = {
  ok: 0,
  /** Something was asked for and did not happen, or could not be looked at. */
  failed: 1,
  /** Wrong usage or a wrong configuration: nothing was tried. */
  usage: 2,
  /** A partition is halted and waits for `gapless resume`. */
  halted: 3,
  /** Ended by Ctrl-C, as shells count it: 128 + SIGINT. */
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCode)[keyof typeof exitCode]

/** Wrong usage that commander cannot know of; `message` says what is accepted. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
