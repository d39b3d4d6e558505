// Owns the exit codes of the commands. They are a contract with scripts (docs/CLI.md).

export const exitCode = {
  ok: 0,
  /** A requested action did not happen, or something could not be observed. */
  failed: 1,
  /** Wrong usage or a wrong configuration: no work was started. */
  usage: 2,
  /** A partition is halted and waits for `gapless resume`. */
  halted: 3,
  /** An audit found a difference between source and standby. */
  differs: 4,
  /** Ended by Ctrl-C, as shells count it: 128 + SIGINT. */
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCode)[keyof typeof exitCode]

/** Wrong usage that commander does not detect; `message` says what is accepted. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
