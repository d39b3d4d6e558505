// Owns the story of a fail-over drill on the clusters of a flow: a planned fail-over and the way
// back, an unplanned one that loses what was never copied, and the way back from that. The moves
// are those of the commands. Does not own making and removing what the drill needs (cli/drill).

import type { Clock } from '../../io/clock.ts'
import { momentOf, msSince } from '../../io/clock.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { FailbackReport } from '../failback/failback-report.ts'
import type { FailoverReport } from '../failover/failover-report.ts'
import type { GroupsReport } from '../operate/groups-report.ts'
import type { RunReport } from '../operate/report.ts'
import { check, checkGroup, checkLog, type DrillLedger } from './ledger.ts'
import { type NextRecords, nextOfGroup, readAsGroup, type ScratchGroup } from './scratch-group.ts'
import { readScratch, type ScratchTopic, writeNumbered } from './scratch-topic.ts'

export type DrillSide = { readonly topic: ScratchTopic; readonly group: ScratchGroup }

/** What the commands of the same names do. */
export type DrillMoves = {
  /** Creates the scratch topic on the source; the copying creates the one on the standby. */
  readonly createTopic: () => Promise<unknown>
  readonly copy: () => Promise<RunReport>
  readonly sync: () => Promise<GroupsReport>
  /** The unplanned one does not reach the source. */
  readonly failOver: (how: 'planned' | 'unplanned') => Promise<FailoverReport>
  readonly failBack: (divergent: 'refuse' | 'append') => Promise<FailbackReport>
}

export type RehearsalDeps = {
  readonly source: DrillSide
  readonly standby: DrillSide
  readonly moves: DrillMoves
  readonly clock: Clock
  readonly ledger: DrillLedger
  readonly interrupted: AbortSignal
  /** Called before each step, with its name. */
  readonly tell: (step: string) => Promise<void> | void
}

type Stage = RehearsalDeps & {
  /** The ids of all records that were acknowledged. */
  readonly written: string[]
  /** Those that never travelled to the standby. */
  readonly unsent: string[]
  /** How many records each later act writes. */
  readonly some: number
  readonly last: { acknowledgedMs: number; next: NextRecords }
}

/**
 * Throws the reason of `interrupted` between two steps, and `ReplicatorError` or `BrokerFailure`
 * when a step did not end as it must; all that was found is in the ledger.
 */
export async function rehearse(deps: RehearsalDeps, records: number): Promise<void> {
  const last = { acknowledgedMs: 0, next: [] }
  const stage: Stage = { ...deps, written: [], unsent: [], some: Math.ceil(records / 10), last }
  await failOverAsPlanned(stage, records)
  await failBackAsPlanned(stage)
  await failOverWithoutSource(stage)
  await failBackWithDivergence(stage)
}

async function failOverAsPlanned(stage: Stage, records: number): Promise<void> {
  const { ledger, source, some, moves } = stage
  await step(stage, 'create-topic', moves.createTopic)
  await step(stage, 'write-source', async () => {
    await write(stage, 'source', records - some)
    const log = await readScratch(source.topic)
    await read(
      stage,
      'source',
      log.map(each => Math.floor(each.length / 2)),
    )
  })
  await copyAndSync(stage, records - some)
  // The fail-over itself has to bring the last records across.
  await step(stage, 'write-last', () => write(stage, 'source', some))
  await failOver(stage, 'planned')
  await step(stage, 'compare-standby', () => compare(stage, 'standby'))
  const found = ledger.failovers.at(-1)?.recordsMissing ?? 0
  check(ledger, 'records lost by the fail-over', { expected: 0, found })
}

async function failBackAsPlanned(stage: Stage): Promise<void> {
  await step(stage, 'write-standby', () => writeAndRead(stage, 'standby'))
  await step(stage, 'failback-planned', async () => {
    const report = await stage.moves.failBack('refuse')
    mustBe('done', report, 'the way back from the planned fail-over')
  })
  await step(stage, 'compare-source', () => compare(stage, 'source'))
}

async function failOverWithoutSource(stage: Stage): Promise<void> {
  const { ledger, some, unsent } = stage
  await step(stage, 'write-source-again', () => writeAndRead(stage, 'source'))
  await copyAndSync(stage, some)
  await step(stage, 'write-unsent', async () => {
    unsent.push(...(await write(stage, 'source', some)))
  })
  await failOver(stage, 'unplanned')
  await step(stage, 'compare-standby-again', () => compare(stage, 'standby'))
  const found = ledger.failovers.at(-1)?.recordsMissing ?? 0
  const what = 'records lost by the fail-over, those that were never copied'
  check(ledger, what, { expected: unsent.length, found })
}

async function failBackWithDivergence(stage: Stage): Promise<void> {
  const { ledger, moves, unsent } = stage
  await step(stage, 'write-standby-again', () => writeAndRead(stage, 'standby'))
  await step(stage, 'failback-refused', async () => {
    const report = await moves.failBack('refuse')
    mustBe('refused', report, 'a way back that would bury records of the source')
    const divergent = report.partitions.map(each => Number(each.divergentRecords ?? 0))
    const found = divergent.reduce((sum, each) => sum + each, 0)
    const what = 'records of the source that the fail-back finds never travelled'
    check(ledger, what, { expected: unsent.length, found })
  })
  await step(stage, 'failback-unplanned', async () => {
    const report = await moves.failBack('append')
    mustBe('done', report, 'the way back from the unplanned fail-over')
  })
  await step(stage, 'compare-both', async () => {
    await compare(stage, 'source')
    await checkRecords(stage, 'standby')
  })
}

/** Runs a step that takes some time, and notes how much. */
async function step(stage: Stage, name: string, work: () => Promise<unknown>): Promise<void> {
  stage.interrupted.throwIfAborted()
  stage.ledger.step = name
  await stage.tell(name)
  const startedAt = momentOf(stage.clock)
  try {
    await work()
  } finally {
    stage.ledger.steps.push({ step: name, ms: Math.round(msSince(stage.clock, startedAt)) })
  }
}

type SideName = 'source' | 'standby'

async function write(stage: Stage, side: SideName, count: number): Promise<readonly string[]> {
  const { written, last, clock } = stage
  const first = written.length + 1
  const sequences = Array.from({ length: count }, (_, index) => first + index)
  const acknowledged = await writeNumbered(stage[side].topic, sequences)
  last.acknowledgedMs = clock.nowMs()
  written.push(...acknowledged)
  return acknowledged
}

async function read(stage: Stage, side: SideName, counts: readonly number[]): Promise<void> {
  const { topic, group } = stage[side]
  stage.last.next = await readAsGroup(group, await readScratch(topic), counts)
}

/** Writes more records, and the group reads all but the last one of each partition. */
async function writeAndRead(stage: Stage, side: SideName): Promise<void> {
  await write(stage, side, stage.some)
  const log = await readScratch(stage[side].topic)
  await read(
    stage,
    side,
    log.map(each => Math.max(0, each.length - 1)),
  )
}

async function copyAndSync(stage: Stage, records: number): Promise<void> {
  const { ledger, moves } = stage
  await step(stage, 'copy', async () => {
    const { flows, recordsReplicated } = await moves.copy()
    for (const { partitions, failures, unobserved } of flows) {
      ledger.problems.push(...failures, ...unobserved)
      const undrained = partitions.filter(each => each.outcome !== 'drained')
      for (const { topic, partition, outcome, detail } of undrained) {
        const why = detail === null ? '' : `: ${detail}`
        ledger.problems.push(`${topic}-${partition} was not copied, but is ${outcome}${why}`)
      }
    }
    check(ledger, 'records copied by a run', { expected: records, found: recordsReplicated })
  })
  await step(stage, 'sync-groups', async () => {
    const { flows } = await moves.sync()
    for (const { groups, unobserved } of flows) {
      ledger.problems.push(...unobserved)
      const unsynced = groups.filter(each => each.state !== 'synced')
      check(ledger, 'group offsets that are not synced', { expected: 0, found: unsynced.length })
      ledger.problems.push(...new Set(unsynced.flatMap(each => each.reason ?? [])))
    }
  })
}

async function failOver(stage: Stage, how: 'planned' | 'unplanned'): Promise<void> {
  const { ledger, moves, clock, written, last, standby } = stage
  await step(stage, `failover-${how}`, async () => {
    const report = await moves.failOver(how)
    const rtoMs = clock.nowMs() - last.acknowledgedMs
    mustBe('done', report, `the ${how} fail-over`)
    const there = new Set((await readScratch(standby.topic)).flat().map(each => each.id))
    const recordsMissing = written.filter(each => !there.has(each)).length
    ledger.failovers.push({ how, recordsWritten: written.length, recordsMissing, rtoMs })
  })
}

function mustBe(
  wanted: 'done' | 'refused',
  { result, problems }: { readonly result: string; readonly problems: readonly string[] },
  what: string,
): void {
  if (result === wanted) return
  const why = problems.length === 0 ? '' : `: ${problems.join('; ')}`
  throw new ReplicatorError({
    code: 'failover-refused',
    message: `${what} ended as ${result}, expected ${wanted}${why}`,
    hint: 'The drill stops there. Repeat it with --keep to look at what it made.',
  })
}

async function compare(stage: Stage, side: SideName): Promise<void> {
  const { ledger, last } = stage
  await checkRecords(stage, side)
  const { topic, group } = stage[side]
  const found = await nextOfGroup(group, await readScratch(topic))
  checkGroup(ledger, { where: topic.cluster.name, wanted: last.next, found })
}

async function checkRecords(stage: Stage, side: SideName): Promise<void> {
  const { ledger, written, unsent } = stage
  const { topic } = stage[side]
  // What was never copied stays on the source alone.
  const away = new Set(side === 'standby' ? unsent : [])
  const expected = written.filter(each => !away.has(each))
  const log = await readScratch(topic)
  checkLog(ledger, { where: topic.cluster.name, log, expected, mayBe: [...away] })
}
