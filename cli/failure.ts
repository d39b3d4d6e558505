// Owns what a person sees when a command fails: one line per problem, what to do next, no stack.
// GAPLESS_DEBUG=1 adds the stack for whoever looks for a bug.

import { CommanderError } from 'commander'
import { type ExitCode, exitCode, UsageError } from './exit-code.ts'

export type Failure = { readonly lines: readonly string[]; readonly exitCode: ExitCode }

const brokerHint =
  'Check its brokers, tls and sasl in the configuration, and that Kafka answers there.'

/**
 * Errors are told apart by name: their classes live in modules that a command may never have
 * loaded, and loading them here would make every command as slow as the slowest.
 */
export function describeFailure(error: unknown): Failure {
  // Commander has printed its sentence, or the help or version that was asked for.
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
    // Ctrl-C at a question.
    case 'ExitPromptError':
      return { lines: ['Nothing was done.'], exitCode: exitCode.interrupted }
    case 'ReplicatorError':
      return failed(sentences(error.message, hintOf(error)))
    // A cluster that does not answer a question; the brokers asked are in the sentence.
    case 'BrokerFailure':
      return failed(sentences(`Cluster ${clusterOf(error)}: ${error.message}`, brokerHint))
    default:
      return failed(`${error.message || error.name} (GAPLESS_DEBUG=1 shows where)`)
  }
}

/** The stack with its causes, where GAPLESS_DEBUG asks for it; otherwise nothing. */
export function describeStack(error: unknown, debug: string | undefined): string[] {
  if (debug !== '1' || !(error instanceof Error) || error instanceof CommanderError) return []
  const causes: string[] = []
  // Bounded: a cause may, in principle, be its own cause.
  for (let at: unknown = error; at instanceof Error && causes.length < 10; at = at.cause) {
    causes.push(at.stack ?? `${at.name}: ${at.message}`)
  }
  return causes
}

function failed(text: string): Failure {
  return { lines: [`error: ${oneLine(text)}`], exitCode: exitCode.failed }
}

/** What happened and what to do about it, as two sentences whoever wrote them. */
function sentences(message: string, hint: string): string {
  const end = /[.!?]\s*$/.test(message) ? '' : '.'
  return `${message}${end} ${hint.charAt(0).toUpperCase()}${hint.slice(1)}`
}

function hintOf(error: Error): string {
  return 'hint' in error && typeof error.hint === 'string' ? error.hint : ''
}

function clusterOf(error: Error): string {
  return 'cluster' in error ? String(error.cluster) : 'unknown'
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim()
}
