// The one error of the local stack that is printed without a stack trace. Any other error that is
// thrown in this folder is a bug and keeps its trace.

/** What went wrong and what to run next; `message` holds both on one line. */
export class StackError extends Error {
  readonly remedy: string

  constructor(problem: string, remedy: string, options?: { cause: unknown }) {
    super(`${problem} ${remedy}`, options)
    this.name = 'StackError'
    this.remedy = remedy
  }
}

/** Takes one line of progress, without a line end. */
export type Report = (line: string) => void

/** The default `Report`: standard error, so that standard output stays free for tables and JSON. */
export const reportToStandardError: Report = line => {
  process.stderr.write(`${line}\n`)
}
