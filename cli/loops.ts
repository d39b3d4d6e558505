// Runs the loops of lib/run for the commands and turns their results into the JSON contract. No
// other file of cli/ starts a loop. Flows run side by side: one that fails or hangs is reported,
// and keeps no other one from its turn.

import type { FlowConfig } from '../lib/core/config/config.ts'
import { flowRunsInFlightMax } from '../lib/core/config/defaults.ts'
import { errorText } from '../lib/core/error-text.ts'
import { systemClock } from '../lib/io/clock.ts'
import { ReplicatorError } from '../lib/io/failure/replicator-error.ts'
import { eachFlow, type FlowOutcome, sideBySide } from '../lib/run/each-flow.ts'
import type { OpenFlow } from '../lib/run/open-flow.ts'
import {
  type FlowGroupsReport,
  type GroupsReport,
  reportGroups,
} from '../lib/run/operate/groups-report.ts'
import {
  type FlowStatusReport,
  type ResumeReport,
  type RunReport,
  reportFlowStatus,
  reportPartitionRun,
  type StatusReport,
  type TranslateReport,
} from '../lib/run/operate/report.ts'
import type { ResumeFrom } from '../lib/run/operate/resume.ts'
import type { GroupReport } from '../lib/run/sync/looked-group.ts'
import type { Context } from './context.ts'

export async function readStatus(
  context: Context,
  flows: readonly FlowConfig[],
): Promise<StatusReport> {
  const { readFlowStatus } = await import('../lib/run/operate/status.ts')
  const outcomes = await eachFlow(flows, systemClock, (flow, inTime) =>
    withFlow(context, flow, deps => inTime(readFlowStatus(deps, flow))),
  )
  return {
    flows: reportsOf(outcomes, reportFlowStatus, (name, detail): FlowStatusReport => {
      const lists = { warnings: [], losses: [], leftOut: [], openIncidents: 0, problems: [] }
      return { name, partitions: [], unobserved: [detail], ...lists, workers: [] }
    }),
  }
}

/** One tick of `sync` for each flow; with `mayCommit` false it only looks. */
export async function syncFlows(
  context: Context,
  flows: readonly FlowConfig[],
  { mayCommit }: { readonly mayCommit: boolean },
): Promise<GroupsReport> {
  const { syncFlow } = await import('../lib/run/sync/sync-flow.ts')
  const { reportFollowed } = await import('../lib/run/operate/follow-report.ts')
  const outcomes = await eachFlow(flows, systemClock, (flow, inTime) =>
    withFlow(context, flow, async (deps, { syncing, following }) => {
      const reports: GroupReport[] = []
      // The answer has every group: lines of the log would say the same again.
      const quiet = { ...deps, ...syncing, log: () => undefined }
      const tell = (each: readonly GroupReport[]) => reports.push(...each)
      const alsoFollow = { ...quiet, ...following }
      const options = { groupsMayFollow: mayCommit, alsoFollow, tell }
      const synced = await inTime(syncFlow(quiet, flow, options))
      const { followed } = synced
      const follows = followed === null ? {} : { follows: reportFollowed(followed, flow) }
      return { ...reportGroups(synced, reports), ...follows }
    }),
  )
  return {
    flows: reportsOf(
      outcomes,
      report => report,
      (name, detail): FlowGroupsReport => ({ name, groups: [], unobserved: [detail] }),
    ),
  }
}

/** Aborting `interrupted` ends the run early, with every acknowledged record checkpointed. */
export async function runOnce(
  context: Context,
  flows: readonly FlowConfig[],
  interrupted: AbortSignal,
): Promise<RunReport> {
  const { runFlowOnce } = await import('../lib/run/operate/run-once.ts')
  const startedMs = performance.now()
  const outcomes = await sideBySide(flows, flowRunsInFlightMax, async flow =>
    interrupted.aborted
      ? null
      : withFlow(context, flow, deps => runFlowOnce(deps, flow, interrupted)),
  )
  let records = 0n
  let bytes = 0n
  const reports = reportsOf(
    outcomes,
    (run): RunReport['flows'][number] | null => {
      if (run === null) return null
      for (const { recordsReplicated, bytesReplicated } of run.partitions) {
        records += recordsReplicated
        bytes += bytesReplicated
      }
      const unobserved = run.observationFailures.map(each => `${each.cluster}: ${each.detail}`)
      return {
        name: run.name,
        partitions: run.partitions.map(reportPartitionRun),
        warnings: run.warnings,
        unobserved: [...new Set(unobserved)],
        failures: run.failures,
      }
    },
    (name, detail) => ({ name, partitions: [], warnings: [], unobserved: [], failures: [detail] }),
  ).filter(each => each !== null)
  return {
    flows: reports,
    recordsReplicated: String(records),
    bytesReplicated: String(bytes),
    elapsedMs: Math.round(performance.now() - startedMs),
  }
}

/** @throws ReplicatorError, with the next step as hint, when the partition cannot be resumed. */
export async function resumePartition(
  context: Context,
  request: {
    readonly flow: FlowConfig
    readonly topic: string
    readonly partition: number
    readonly from: ResumeFrom
  },
): Promise<ResumeReport> {
  const { flow, topic, partition, from } = request
  const loop = await import('../lib/run/operate/resume.ts')
  const resumed = await withFlow(context, flow, deps =>
    loop.resumePartition(deps, { flow, at: { topic, partition }, from }),
  )
  return {
    flow: flow.name,
    topic,
    partition,
    nextSourceOffset: String(resumed.position.nextSourceOffset),
    skippedOffsets: String(resumed.skippedOffsets),
  }
}

/**
 * `topic` is the name at the source; `offset` is one of the standby with `isBack`.
 * @throws ReplicatorError, with the next step as hint, when the partition cannot be translated.
 */
export async function translateOffset(
  context: Context,
  request: {
    readonly flow: FlowConfig
    readonly topic: string
    readonly partition: number
    readonly offset: bigint
    readonly isBack: boolean
  },
): Promise<TranslateReport> {
  const { flow, topic, partition, offset, isBack } = request
  const at = { topic, partition }
  const { openTranslation } = await import('../lib/run/translate/flow-translation.ts')
  const { sourceOffset, targetOffset } = await import('../lib/core/offset.ts')
  const answer = await withFlow(context, flow, async deps => {
    const translation = await openTranslation(deps, flow, at)
    return isBack
      ? translation.translateBack(at, [targetOffset(offset)])
      : translation.translate(at, [sourceOffset(offset)])
  })
  const [translated] = answer.kind === 'translated' ? answer.offsets : []
  if (answer.kind === 'not-translated' || translated === undefined) {
    const why = answer.kind === 'not-translated' ? answer.detail : 'no offset was translated'
    throw new ReplicatorError({
      code: 'not-translated',
      message: `Flow ${flow.name}: ${topic}:${partition} cannot be translated: ${why}.`,
      hint: 'See: gapless status',
    })
  }
  return {
    flow: flow.name,
    ...at,
    targetTopic: answer.targetTopic,
    sourceOffset: String(translated.sourceOffset),
    targetOffset: String(translated.targetOffset),
    kind: translated.kind,
    rereadRecordsMax: String(translated.rereadRecordsMax),
    sourceSeen: answer.isSourceSeen,
  }
}

/**
 * A report for every flow, also for those that failed.
 * @throws the failure of the first flow where all of them failed: its hint says what to do.
 */
function reportsOf<T, R>(
  outcomes: readonly FlowOutcome<T>[],
  report: (value: T) => R,
  failed: (name: string, detail: string) => R,
): R[] {
  const [first] = outcomes
  if (first?.kind === 'failed' && outcomes.every(each => each.kind === 'failed')) throw first.error
  return outcomes.map(each =>
    each.kind === 'done' ? report(each.value) : failed(each.flow.name, textWithHint(each.error)),
  )
}

function textWithHint(error: unknown): string {
  const hint = error instanceof ReplicatorError ? ` ${error.hint}` : ''
  return `${errorText(error)}${hint}`
}

async function withFlow<T>(
  context: Context,
  flow: FlowConfig,
  run: (deps: OpenFlow['deps'], opened: OpenFlow) => Promise<T>,
): Promise<T> {
  const { openFlow } = await import('../lib/run/open-flow.ts')
  const config = await context.config()
  const client = await context.dynamoDb()
  const { table, log } = context
  const opened = openFlow({ config, flow, client, table, log })
  try {
    return await run(opened.deps, opened)
  } finally {
    await opened.close()
  }
}
