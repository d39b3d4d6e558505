// Compares one partition of the standby with the source's after all kills. Pure: takes the records
// that were read and returns the faults.

import type { KafkaMessage } from 'kafkajs'
import type { TransactionEnd } from '../kafka/raw-batches.ts'
import { fingerprintOf, keyText, parseKey, recordOf } from './records.ts'

export type Seen = { readonly key: string; readonly fingerprint: string }

export type Verdict = {
  /** Committed records of the source. */
  readonly records: number
  /** Further copies of records that the standby already has. */
  readonly duplicates: number
  /** Committed records that the standby does not have. */
  readonly holes: number
  /** Records whose first copy is behind that of a later record. */
  readonly disordered: number
  /**
   * Records of the standby that equal no committed record of the source: aborted or changed ones.
   */
  readonly foreign: number
}

export type Findings = {
  readonly verdict: Verdict
  /** Sentences about the first few missing, disordered or foreign records. */
  readonly examples: readonly string[]
  /** The key of the first committed record that the standby does not have; null: none. */
  readonly firstHole: string | null
  /** Sentences about the first few duplicates. */
  readonly duplicateExamples: readonly string[]
}

const EXAMPLES_MAX = 5

/** `withTimestamp` false: the standby's time takes the place of the record's. */
export function seenIn(
  read: readonly KafkaMessage[],
  options: { readonly withTimestamp?: boolean } = {},
): Seen[] {
  return read.map(each => ({
    key: each.key?.toString() ?? 'no key',
    fingerprint: fingerprintOf(each, options),
  }))
}

export function compare(source: readonly Seen[], standby: readonly Seen[]): Findings {
  const places = new Map(source.map(({ key }, index) => [key, index]))
  const found = new Set<number>()
  const examples: string[] = []
  const duplicateExamples: string[] = []
  const note = (list: string[], what: string, index: number) => {
    if (list.length < EXAMPLES_MAX) list.push(`${what} (record ${index} of the standby)`)
  }
  let duplicates = 0
  let disordered = 0
  let foreign = 0
  let last = -1
  for (const [index, { key, fingerprint }] of standby.entries()) {
    const place = places.get(key)
    if (place === undefined || source[place]?.fingerprint !== fingerprint) {
      foreign += 1
      note(examples, `${key} is ${place === undefined ? 'not committed' : 'changed'}`, index)
    } else if (found.has(place)) {
      duplicates += 1
      note(duplicateExamples, `${key} comes again`, index)
    } else {
      found.add(place)
      if (place < last) {
        disordered += 1
        note(examples, `${key} comes after ${source[last]?.key}`, index)
      }
      last = Math.max(last, place)
    }
  }
  const holes = source.filter((_, place) => !found.has(place))
  for (const { key } of holes.slice(0, EXAMPLES_MAX)) examples.push(`${key} is missing`)
  const records = source.length
  const verdict = { records, duplicates, holes: holes.length, disordered, foreign }
  return { verdict, examples, duplicateExamples, firstHole: holes[0]?.key ?? null }
}

/**
 * The outcome of a write as its producer knows it. unknown: sent outside a transaction and without
 * an answer, so it counts when it is in the log. undecided: the answer to a commit was lost.
 */
export type Fate = 'committed' | 'aborted' | 'unknown' | 'undecided'

/** A record of the source, and how the markers in the log ended its transaction. */
export type SourceRecord = Seen & { readonly end: TransactionEnd }

export type Audit = {
  /** The records that a read-committed consumer must see, in order. */
  readonly committed: readonly Seen[]
  /** Faults of the source itself: with any of them a comparison proves nothing. */
  readonly faults: readonly string[]
  /**
   * Records that a producer was told are committed and the markers abort, or the other way round.
   * This happens when kafkajs meets a coordinator that is killed. Consumers go by the markers.
   */
  readonly contradicted: number
}

/**
 * The records of a source log that the markers commit. `log` has every record, aborted ones
 * included.
 */
export function auditSource(log: readonly SourceRecord[], fates: ReadonlyMap<string, Fate>): Audit {
  const faults: string[] = []
  let contradicted = 0
  const numbers = new Map<string, number>()
  const committed = log.filter(({ key, fingerprint, end }) => {
    const parsed = parseKey(key)
    const fate = fates.get(key)
    if (parsed === null || fate === undefined) {
      faults.push(`${key} is in the source, but no producer wrote it`)
      return false
    }
    if (fingerprintOf(recordOf(parsed)) !== fingerprint) faults.push(`${key} is changed`)
    const last = numbers.get(parsed.writer) ?? -1
    if (parsed.number <= last) faults.push(`${keyText(parsed)} comes after number ${last}`)
    numbers.set(parsed.writer, parsed.number)
    if (!isPossible(fate, end)) faults.push(`${key} is ${fate} to its producer, ${end} in the log`)
    if (isContradicted(fate, end)) contradicted += 1
    return end === 'plain' || end === 'commit'
  })
  const present = new Set(log.map(({ key }) => key))
  for (const [key, fate] of fates) {
    if (fate === 'committed' && !present.has(key))
      faults.push(`${key} was committed and is missing`)
  }
  return { committed, faults, contradicted }
}

/** Whether a record's fate fits the log: in a transaction or not, and no transaction is open. */
function isPossible(fate: Fate, end: TransactionEnd): boolean {
  if (end === 'open') return false
  return end === 'plain' ? fate === 'committed' || fate === 'unknown' : fate !== 'unknown'
}

function isContradicted(fate: Fate, end: TransactionEnd): boolean {
  return (fate === 'committed' && end === 'abort') || (fate === 'aborted' && end === 'commit')
}
