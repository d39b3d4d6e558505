// Owns writing log lines. In Lambda, Powertools makes structured lines of them; the command line
// writes them to standard error, because standard output is for the answer of a command.

import type { LogLine } from '../core/monitoring/incident-lines.ts'

export type Log = (line: LogLine) => void

/** Lines for a person at a terminal, or for a file that a person will read. */
export function textLog(write: (text: string) => void, now: () => Date): Log {
  return ({ level, text }) => write(`${now().toISOString()} ${level.toUpperCase()} ${text}\n`)
}

/** The part of a Powertools logger that is used here. */
export type StructuredLogger = Record<
  'critical' | 'error' | 'warn' | 'info',
  (text: string) => void
>

export function structuredLog(logger: StructuredLogger): Log {
  return ({ level, text }) => logger[level](text)
}
