// Owns one fail-over drill on the clusters of a flow, from its plan to its removal: whatever
// happens in between, all that was made is removed again. Does not own the story
// (lib/run/drill/rehearse.ts) nor the options (drill-command.ts).

import { randomBytes } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import { drillAliveMs } from '../../lib/core/config/failover-limits.ts'
import { targetTopicName } from '../../lib/core/config/topic-selection.ts'
import {
  copiedByText,
  drillPrefix,
  scratchFlow,
  scratchTopic,
} from '../../lib/core/drill/scratch-flow.ts'
import { errorText } from '../../lib/core/error-text.ts'
import type { Drill } from '../../lib/core/row/drill-row.ts'
import { createTopicAdmin } from '../../lib/io/admin/topic-admin.ts'
import { systemClock } from '../../lib/io/clock.ts'
import type { TopicDescription } from '../../lib/io/cluster/cluster.ts'
import { createDrillStore, type DrillStore } from '../../lib/io/failover/drill-store.ts'
import { ReplicatorError } from '../../lib/io/failure/replicator-error.ts'
import { type DrillReport, reportDrill } from '../../lib/run/drill/drill-report.ts'
import { type DrillLedger, openLedger } from '../../lib/run/drill/ledger.ts'
import { rehearse } from '../../lib/run/drill/rehearse.ts'
import type { Context } from '../context.ts'
import { UsageError } from '../exit-code.ts'
import { describeFailure, describeStack } from '../failure.ts'
import { listenForInterruption } from '../terminal/interruption.ts'
import { describeOne } from '../topic-reset.ts'
import { removeFrom } from './clean-drills.ts'
import { openMoves, openSide } from './drill-moves.ts'
import { leftoverLine, planLines } from './drill-text.ts'

export type DrillOrder = {
  readonly flow: FlowConfig
  readonly records: number
  readonly partitions: number
  /** True: what the drill made stays, until `--clean`. */
  readonly isKept: boolean
  readonly isDryRun: boolean
  readonly isConfirmed: boolean
  /** Called before each step: for tests, which break something there. */
  readonly beforeStep?: (step: string, drill: Drill) => Promise<void>
}

/** The group reads a part of each partition, and each later act writes a tenth. */
const recordsPerPartitionMin = 20

/** Never throws once something was made: what went wrong is in the report. */
export async function drillFailover(context: Context, order: DrillOrder): Promise<DrillReport> {
  const { flow, records, partitions } = order
  if (records < partitions * recordsPerPartitionMin) {
    const wanted = partitions * recordsPerPartitionMin
    throw new UsageError(`${partitions} partitions need --records ${wanted} or more`)
  }
  const drills = createDrillStore(await context.dynamoDb(), context.table)
  const drill = newDrill(flow)
  const scratch = scratchFlow(flow, drill.drill)
  const copied = copiedByText(await context.config(), scratch)
  if (copied !== null) throw new UsageError(copied)
  await refuseUnlessAbsent(context, drill)
  const leftovers = await drills.list()
  for (const each of leftovers) context.note(`warning: ${leftoverLine(each)}`)
  const ledger = openLedger()
  const reported = (result: DrillReport['result'], left: readonly string[] = []) =>
    reportDrill({ drill, ledger, leftovers, result, left })
  for (const line of planLines(drill, order)) context.note(line)
  if (order.isDryRun) return reported('planned')
  if (!order.isConfirmed && !(await askPerson(context))) return reported('declined')
  const interruption = listenForInterruption(
    'Ending the drill behind the step that runs, and removing what it made; Ctrl-C again leaves it there.',
    context.note,
  )
  try {
    const { signal } = interruption
    await performDrill(context, order, { drill, scratch, drills, ledger, signal })
    const isInterrupted = signal.aborted
    const left = order.isKept ? await keep(drills, drill) : await removeFrom(context, drills, drill)
    if (!order.isKept) ledger.problems.push(...left.map(each => `could not be removed: ${each}`))
    if (isInterrupted) return reported('interrupted', left)
    return reported(ledger.problems.length === 0 ? 'passed' : 'failed', left)
  } finally {
    interruption.end()
  }
}

/** Makes nothing. Whatever has these names later is the drill's, and may be removed. */
async function refuseUnlessAbsent(context: Context, drill: Drill): Promise<void> {
  const { source, standby, topic, targetTopic } = drill
  const places = [
    { name: source, topic },
    { name: standby, topic: targetTopic },
  ]
  for (const each of places) {
    const found = await describeOne(await context.cluster(each.name), each.topic)
    if (found.kind === 'missing') continue
    const isDenied = found.kind === 'denied'
    throw new ReplicatorError({
      code: isDenied ? 'cluster-denied' : 'cluster-refused',
      message: `Cluster ${each.name}: ${absenceText(found)}, and nothing was made.`,
      hint: isDenied
        ? 'Grant the rights of a drill that docs/FAILOVER.md lists (kafka-acls).'
        : 'Run the command again: it chooses another name.',
    })
  }
}

function absenceText(found: Exclude<TopicDescription, { kind: 'missing' }>): string {
  const what = `the scratch topic ${found.name}`
  if (found.kind === 'denied') return `not authorized to Describe ${what}`
  return found.kind === 'exists' ? `${what} exists` : `${found.errorName} for ${what}`
}

function newDrill(flow: FlowConfig): Drill {
  const nowMs = systemClock.nowMs()
  const stamp = new Date(nowMs).toISOString().replace(/[-:]|\..*/g, '')
  const drill = `${drillPrefix}${stamp}-${randomBytes(3).toString('hex')}`
  const topic = scratchTopic(drill)
  return {
    drill,
    flow: flow.name,
    source: flow.from,
    standby: flow.to,
    topic,
    targetTopic: targetTopicName(scratchFlow(flow, drill), topic),
    by: `${userInfo().username}@${hostname()}/${process.pid}`,
    startedAtMs: nowMs,
    aliveUntilMs: nowMs + drillAliveMs,
  }
}

/** Says that the drill has ended, so that `--clean` need not wait for it; all it made stays. */
async function keep(
  drills: DrillStore,
  { drill, topic, targetTopic, source, standby }: Drill,
): Promise<string[]> {
  await drills.renew({ drill, aliveUntilMs: systemClock.nowMs() })
  return [
    `topic ${topic} on ${source}`,
    `topic ${targetTopic} on ${standby}`,
    `group ${drill} on ${source} and ${standby}`,
    `rows of flow ${drill} in the table`,
  ]
}

type Performance = {
  readonly drill: Drill
  readonly scratch: FlowConfig
  readonly drills: DrillStore
  readonly ledger: DrillLedger
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

/** Makes the topic and tells the story. What fails is a problem in the ledger. */
async function performDrill(
  context: Context,
  order: DrillOrder,
  performance: Performance,
): Promise<void> {
  const { drill, drills, ledger, signal } = performance
  const gone = new AbortController()
  const ended = new AbortController()
  const interrupted = AbortSignal.any([signal, gone.signal])
  try {
    await drills.begin({ ...drill, aliveUntilMs: systemClock.nowMs() + drillAliveMs })
    // Not awaited: a renewal that the table does not answer must not delay the end of the drill.
    void keepSaying(context, { drills, drill, gone, ended: ended.signal })
    await tellStory(context, order, { ...performance, interrupted })
  } catch (error) {
    const failure = describeFailure(error).lines.map(each => each.replace(/^error: /, ''))
    if (!interrupted.aborted) ledger.problems.push(...failure)
    for (const line of describeStack(error, context.env.GAPLESS_DEBUG)) context.note(line)
  } finally {
    ended.abort()
  }
  if (gone.signal.aborted) {
    ledger.problems.push(`another command removed drill ${drill.drill} while it ran`)
  }
}

async function tellStory(
  context: Context,
  order: DrillOrder,
  by: Performance & { readonly interrupted: AbortSignal },
): Promise<void> {
  const { drill, scratch, ledger, interrupted } = by
  const { partitions } = order
  const [source, standby] = [await context.cluster(scratch.from), await context.cluster(scratch.to)]
  const opened = { drill: drill.drill, budgets: scratch.budgets, partitions }
  const sourceSide = openSide(source, { ...opened, topic: drill.topic })
  const standbySide = openSide(standby, { ...opened, topic: drill.targetTopic })
  const tell = async (step: string) => {
    context.note(`drill: ${step}`)
    await order.beforeStep?.(step, drill)
  }
  const createTopic = () => createTopicAdmin(source).createTopic({ name: drill.topic, partitions })
  const moves = { createTopic, ...openMoves(context, scratch, interrupted) }
  const deps = { source: sourceSide, standby: standbySide, moves, ledger, interrupted, tell }
  await rehearse({ ...deps, clock: systemClock }, order.records)
}

/** Says in the table that the drill lives, until it has ended. */
async function keepSaying(
  { note }: Pick<Context, 'note'>,
  by: Pick<Performance, 'drills' | 'drill'> & {
    readonly gone: AbortController
    readonly ended: AbortSignal
  },
): Promise<void> {
  const { drills, gone, ended } = by
  const { drill } = by.drill
  while (!ended.aborted && !gone.signal.aborted) {
    await systemClock.wait(drillAliveMs / 3, ended)
    if (ended.aborted) return
    try {
      const aliveUntilMs = systemClock.nowMs() + drillAliveMs
      if ((await drills.renew({ drill, aliveUntilMs })) === 'gone') gone.abort()
    } catch (error) {
      const text = `it could not be stored that drill ${drill} goes on: ${errorText(error)}`
      note(`warning: ${text}. It is tried again.`)
    }
  }
}

async function askPerson(context: Context): Promise<boolean> {
  const { default: confirm } = await import('@inquirer/confirm')
  if (process.stdin.isTTY !== true) {
    context.note('There is no terminal to ask at: to go on with this plan, add --yes.')
    return false
  }
  return confirm({ message: 'Begin the drill?', default: false }, { output: process.stderr })
}
