// Owns what a fail-over drill has found so far: how long each step took, each number with the one
// that it must be, what each fail-over lost and how long it took. Kept beside the story, so that a
// drill that is interrupted or fails still gives its account. Does not own the story (rehearse.ts).

import { accountOf } from '../../core/drill/account.ts'
import type { NextRecords } from './scratch-group.ts'
import type { ScratchLog } from './scratch-topic.ts'

export type DrillCheck = {
  /** The step in which it was looked at. */
  readonly step: string
  readonly check: string
  readonly expected: string
  readonly found: string
}

export type DrilledFailover = {
  readonly how: 'planned' | 'unplanned'
  /** Records that were acknowledged before it, on both clusters. */
  readonly recordsWritten: number
  /** Those of them that are not on the standby behind it: the recovery point. */
  readonly recordsMissing: number
  /** From the last acknowledged record to the end of the fail-over: the recovery time. */
  readonly rtoMs: number
}

export type DrillLedger = {
  /** The step that runs, or that ran last. */
  step: string
  readonly steps: { readonly step: string; readonly ms: number }[]
  readonly checks: DrillCheck[]
  readonly failovers: DrilledFailover[]
  /** What is wrong, one sentence each. */
  readonly problems: string[]
}

export function openLedger(): DrillLedger {
  return { step: '', steps: [], checks: [], failovers: [], problems: [] }
}

/** Notes a number; one that is not what it must be is a problem. */
export function check(
  { step, checks, problems }: DrillLedger,
  what: string,
  { expected, found }: { readonly expected: number | string; readonly found: number | string },
): void {
  checks.push({ step, check: what, expected: String(expected), found: String(found) })
  if (String(expected) !== String(found)) {
    problems.push(`${step}: ${what}: expected ${expected}, found ${found}`)
  }
}

/** Records that one sentence names; the others are counted. */
const namedMax = 10

/** Every expected record is in the log once, and nothing else but `mayBe`. */
export function checkLog(
  ledger: DrillLedger,
  of: {
    readonly where: string
    readonly log: ScratchLog
    readonly expected: readonly string[]
    readonly mayBe: readonly string[]
  },
): void {
  const { where, log, expected, mayBe } = of
  const read = log.flat().map(each => each.id)
  const account = accountOf({ acknowledged: [expected], unknown: [mayBe], read: [read] })
  check(ledger, `records that ${where} lacks`, { expected: 0, found: account.notRead })
  check(ledger, `records that ${where} has twice`, { expected: 0, found: account.readAgain })
  check(ledger, `records of others on ${where}`, { expected: 0, found: account.foreign })
  const there = new Set(read)
  const known = new Set([...expected, ...mayBe])
  const seen = new Set<string>()
  const twice = read.filter(each => seen.size === seen.add(each).size)
  name(
    ledger,
    `${where} lacks record`,
    expected.filter(each => !there.has(each)),
  )
  name(ledger, `${where} has twice record`, twice)
  name(
    ledger,
    `${where} has`,
    [...there].filter(each => !known.has(each)),
  )
}

function name({ problems }: DrillLedger, what: string, records: readonly string[]): void {
  if (records.length === 0) return
  const more = records.length - namedMax
  const others = more > 0 ? ` and ${more} more` : ''
  problems.push(`${what} ${records.slice(0, namedMax).join(', ')}${others}`)
}

/** The group goes on with the next record that it has not read, in each partition. */
export function checkGroup(
  ledger: DrillLedger,
  of: {
    readonly where: string
    readonly wanted: NextRecords
    readonly found: readonly (string | null | undefined)[]
  },
): void {
  const { where, wanted, found } = of
  const wrong = wanted.flatMap((each, partition) =>
    each === found[partition] ? [] : [{ partition, wanted: each, found: found[partition] }],
  )
  const what = `partitions in which the group goes on elsewhere on ${where}`
  check(ledger, what, { expected: 0, found: wrong.length })
  for (const each of wrong.slice(0, namedMax)) {
    const text = `the group goes on with ${nextText(each.found)}, expected ${nextText(each.wanted)}`
    ledger.problems.push(`partition ${each.partition} on ${where}: ${text}`)
  }
}

function nextText(next: string | null | undefined): string {
  if (next === undefined) return 'nothing: no offset is committed'
  return next === null ? 'what is written next' : `record ${next}`
}
