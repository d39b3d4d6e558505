// Owns the patterns that select topics. They are matched by RE2's rules, in time that is linear in
// the name: a pattern that backtracks would hold a function for longer than the universe lasts
// (Node's RegExp needs 2^n steps for /(a+)+/), and no time-out can interrupt it. Does not own which
// topics a flow selects (topic-selection.ts).

import { RE2JS } from 're2js'
import { patternCharactersMax, patternStepsMax } from './defaults.ts'

export type TopicPattern = {
  readonly kind: 'pattern'
  /** The pattern as it is written, without its slashes. */
  readonly pattern: string
  /** Text that every name begins with that the pattern matches; may be empty. */
  readonly prefix: string
  /** True when the pattern is its prefix and `.*`: it matches all that begins like that. */
  readonly matchesAllBehindPrefix: boolean
  /** True when the pattern matches the whole name, as in MirrorMaker 2 and Kafka's ACL tools. */
  matches(name: string): boolean
}

/** Null when RE2 does not take the pattern; `patternProblem` says why. */
export function compilePattern(pattern: string): TopicPattern | null {
  const compiled = compile(pattern)
  if (compiled === null || compiled.programSize() > patternStepsMax) return null
  const [, begin = '', rest = ''] = LITERAL_BEGIN.exec(pattern) ?? []
  // An alternative may begin otherwise, and a quantifier may take the last character away.
  const isCertain = !pattern.includes('|')
  const literal = begin.replaceAll('\\', '')
  const prefix = /^[*?{]/.test(rest) ? literal.slice(0, -1) : literal
  return {
    kind: 'pattern',
    pattern,
    prefix: isCertain ? prefix : '',
    matchesAllBehindPrefix: rest === '.*',
    matches: name => compiled.matches(name),
  }
}

/**
 * The letters, digits, `_`, `-` and `\.` at the beginning of a pattern, and the rest. A part of
 * them would be right, too: they only prove that two patterns share no name.
 */
const LITERAL_BEGIN = /^\^?((?:[a-zA-Z0-9_-]|\\[.-])*)(.*)$/s

/** What is wrong with a pattern that `compilePattern` refuses, after "a pattern ". */
export function patternProblem(pattern: string): string | null {
  if (pattern.length > patternCharactersMax) {
    return `of at most ${patternCharactersMax} characters`
  }
  if (compile(pattern) !== null) return 'with fewer or smaller repetitions'
  // Node's RegExp only parses the pattern here, which takes no more than linear time.
  return isKnownToNode(pattern)
    ? 'without look-around and back references (RE2 syntax); exclude leaves topics out'
    : null
}

function compile(pattern: string): RE2JS | null {
  if (pattern.length > patternCharactersMax) return null
  try {
    return RE2JS.compile(pattern)
  } catch {
    // A pattern that does not compile is a result here and not a failure: the caller reports it.
    return null
  }
}

function isKnownToNode(pattern: string): boolean {
  try {
    return new RegExp(pattern) instanceof RegExp
  } catch {
    return false
  }
}
