// Owns where sentences go. In Lambda they become structured lines by Powertools; at the command
// line they go to standard error, because standard output belongs to the answer.

import type { LogLine } from '../core/monitoring/incident-lines.ts'

export type Log = (line: LogLine) => void

/** Lines for a person at a terminal, or for a file that a person will read. */
export function textLog(write: (text: string) => void, now: () => Date): Log {
  return ({ level, text }) => write(`${now().toISOString()} ${level.toUpperCase()} ${text}\n`)
}

/** The part of a Powertools logger that is used. */
export type StructuredLogger = Record<
  'critical' | 'error' | 'warn' | 'info',
  (text: string) => void
>

export function structuredLog(logger: StructuredLogger): Log {
  return ({ level, text }) => logger[level](text)
}
