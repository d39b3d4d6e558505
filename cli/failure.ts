// Owns the lines that an operator reads when a command fails: one line per problem with the next
// step, and no stack trace. GAPLESS_DEBUG=1 adds the stack trace.

import { CommanderError } from 'commander'
import { type ExitCode, exitCode, UsageError } from './exit-code.ts'

export type Failure = { readonly lines: readonly string[]; readonly exitCode: ExitCode }

const brokerHint =
  'Check brokers, tls and sasl of this cluster in the configuration, and that its brokers run.'

/**
 * Errors are told apart by name. Importing their classes would load the modules of every command,
 * and make each command start as slowly as the slowest.
 */
export function describeFailure(error: unknown): Failure {
  // Commander has already printed its error, or the requested help.
  if (error instanceof CommanderError) {
    return { lines: [], exitCode: error.exitCode === 0 ? exitCode.ok : exitCode.usage }
  }
  if (!(error instanceof Error)) return failed(String(error))
  if (error instanceof UsageError) {
    return { lines: [`error: ${oneLine(error.message)}`], exitCode: exitCode.usage }
  }
  switch (error.name) {
    case 'ConfigError':
      return {
        lines: error.message.split('\n').map(line => `error: ${line}`),
        exitCode: exitCode.usage,
      }
    // Ctrl-C at the confirmation of reset-topic.
    case 'ExitPromptError':
      return { lines: ['Nothing was done.'], exitCode: exitCode.interrupted }
    case 'ReplicatorError':
      return failed(sentences(error.message, hintOf(error)))
    // A cluster did not answer; the error names the brokers that were asked.
    case 'BrokerFailure':
      return failed(sentences(`Cluster ${clusterOf(error)}: ${error.message}`, brokerHint))
    default:
      return failed(`${error.message || error.name} (GAPLESS_DEBUG=1 shows where)`)
  }
}

/** The stack traces of an error and its causes when GAPLESS_DEBUG is 1, otherwise no line. */
export function describeStack(error: unknown, debug: string | undefined): string[] {
  if (debug !== '1' || !(error instanceof Error) || error instanceof CommanderError) return []
  const causes: string[] = []
  // Bounded, because a chain of causes may be circular.
  for (let at: unknown = error; at instanceof Error && causes.length < 10; at = at.cause) {
    causes.push(at.stack ?? `${at.name}: ${at.message}`)
  }
  return causes
}

function failed(text: string): Failure {
  return { lines: [`error: ${oneLine(text)}`], exitCode: exitCode.failed }
}

/** The error and its hint as two sentences, whether or not the error ends with a full stop. */
function sentences(message: string, hint: string): string {
  const end = /[.!?]$/.test(message.trimEnd()) ? '' : '.'
  return `${message}${end} ${hint.charAt(0).toUpperCase()}${hint.slice(1)}`
}

function hintOf(error: Error): string {
  return 'hint' in error && typeof error.hint === 'string' ? error.hint : ''
}

function clusterOf(error: Error): string {
  return 'cluster' in error ? String(error.cluster) : 'unknown'
}

function oneLine(text: string): string {
  return text
    .split('\n')
    .map(line => line.trim())
    .join(' ')
    .trim()
}
