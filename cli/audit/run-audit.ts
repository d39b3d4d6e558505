// Owns running an audit for the command line: the flows or the two topics, progress, the state that
// is kept, and the report file. Does not own comparing (lib/run/audit).

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditRange } from '../../lib/core/audit/audit-request.ts'
import type { FlowAuditReport } from '../../lib/core/audit/report.ts'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import type { TopicPartition } from '../../lib/core/topic-partition.ts'
import { systemClock } from '../../lib/io/clock.ts'
import type { Watching } from '../../lib/run/audit/audit-flow.ts'
import { createPace, unbounded } from '../../lib/run/audit/pace.ts'
import type { Context } from '../context.ts'
import { createProgress } from '../terminal/progress.ts'
import { type AuditState, openAuditState } from './audit-state.ts'

export type AuditOptions = {
  readonly what:
    | {
        readonly kind: 'flows'
        readonly flows: readonly FlowConfig[]
        readonly topic: string | null
        readonly range: AuditRange
      }
    | {
        readonly kind: 'pair'
        readonly source: string
        readonly target: string
        readonly sourceTopic: string
        readonly targetTopic: string
      }
  readonly isDeep: boolean
  readonly bytesPerSecond: number | null
  readonly statePath: string | null
  readonly outPath: string | null
}

export type AuditReport = {
  /** The version of gapless, and that of Node. */
  readonly gapless: string
  readonly node: string
  readonly startedAt: string
  readonly endedAt: string
  readonly range: string
  readonly deep: boolean
  readonly flows: readonly FlowAuditReport[]
}

export async function runAudit(
  context: Context,
  options: AuditOptions,
  interrupted: AbortSignal,
): Promise<AuditReport> {
  const { what, isDeep } = options
  const startedAt = new Date().toISOString()
  const state = await openAuditState(options.statePath, askedText(options))
  let total = 0
  let done = 0
  const progress = createProgress({
    ...{ total: () => total, unit: 'offsets', output: process.stderr, note: context.note },
    nowMs: () => performance.now(),
  })
  const watching = (flow: string): Watching => ({
    planned: offsets => {
      total += Number(offsets)
    },
    follows: (at: TopicPartition, ids) => ({
      ...state.follows(flow, at, ids),
      compared: offsets => {
        done += Number(offsets)
        progress.update(done)
      },
    }),
  })
  const pace =
    options.bytesPerSecond === null ? unbounded : createPace(systemClock, options.bytesPerSecond)
  const request = { isDeep, pace, interrupted }
  progress.start()
  const flows =
    what.kind === 'pair'
      ? [await auditTwo(context, what, { ...request, ...watching('pair') })]
      : await auditFlows(context, what, each => ({ ...request, ...watching(each) }))
  progress.stop()
  const report: AuditReport = {
    ...{ gapless: await ownVersion(), node: process.version, startedAt },
    endedAt: new Date().toISOString(),
    range: what.kind === 'pair' ? 'full' : rangeText(what.range),
    ...{ deep: isDeep, flows },
  }
  await keep(options, state, report)
  return report
}

type Common = { readonly isDeep: boolean; readonly interrupted: AbortSignal } & Watching & {
    readonly pace: ReturnType<typeof createPace>
  }

/** One behind the other: each has several partitions at once, and the memory for no more. */
async function auditFlows(
  context: Context,
  { flows, topic, range }: Extract<AuditOptions['what'], { kind: 'flows' }>,
  common: (flow: string) => Common,
): Promise<FlowAuditReport[]> {
  const { auditFlow } = await import('../../lib/run/audit/audit-flow.ts')
  const { openFlow } = await import('../../lib/run/open-flow.ts')
  const config = await context.config()
  const client = await context.dynamoDb()
  const reports: FlowAuditReport[] = []
  for (const flow of flows) {
    const opened = openFlow({ config, flow, client, table: context.table, log: context.log })
    try {
      const request = { topic, range, ...common(flow.name) }
      reports.push(await auditFlow(opened.deps, flow, request))
    } finally {
      await opened.close()
    }
  }
  return reports
}

async function auditTwo(
  context: Context,
  what: Extract<AuditOptions['what'], { kind: 'pair' }>,
  common: Common,
): Promise<FlowAuditReport> {
  const { auditPair } = await import('../../lib/run/audit/audit-pair.ts')
  const source = await context.cluster(what.source)
  const target = await context.cluster(what.target)
  const { sourceTopic, targetTopic } = what
  return auditPair({ source, target, clock: systemClock }, { ...common, sourceTopic, targetTopic })
}

/** An interrupted audit keeps its state; one that is over needs none. */
async function keep(
  { outPath, statePath }: AuditOptions,
  state: AuditState,
  report: AuditReport,
): Promise<void> {
  if (outPath !== null) await writeFile(outPath, `${JSON.stringify(report, null, 2)}\n`)
  const isOver = report.flows.every(({ partitions }) =>
    partitions.every(each => each.problem !== 'interrupted'),
  )
  if (statePath === null) return
  await (isOver ? state.remove() : state.flush())
}

function askedText({ what, isDeep }: AuditOptions): string {
  const { flows: _, ...asked } = { flows: null, ...what }
  const range = 'range' in asked ? { ...asked, range: rangeText(asked.range, false) } : asked
  return JSON.stringify({ ...range, isDeep })
}

/** The seed of a sample is drawn anew, and belongs to the report and not to the question. */
function rangeText(range: AuditRange, withSeed = true): string {
  switch (range.kind) {
    case 'full':
      return 'full'
    case 'sample':
      return `sample of ${range.offsets} offsets${withSeed ? `, seed ${range.seed}` : ''}`
    case 'since':
      return `since ${new Date(range.timeMs).toISOString()}`
  }
}

async function ownVersion(): Promise<string> {
  const path = join(import.meta.dirname, '..', '..', 'package.json')
  const { version } = JSON.parse(await readFile(path, 'utf8')) as { version: string }
  return version
}
