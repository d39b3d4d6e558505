// The handler of one worker: replicates its partitions until they are drained or the invocation's
// time is up. When a partition halted or failed, the invocation fails after its last checkpoint:
// Lambda's own error metric shows it, and no progress is lost.

import { randomUUID } from 'node:crypto'
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'
import middy from '@middy/core'
import type { Context } from 'aws-lambda'
import { z } from 'zod'
import { drainDeadlineMs } from '../lib/core/replicate/budget.ts'
import { createFunctionStarter, invocationOf } from '../lib/io/function-invoker.ts'
import { newOwner } from '../lib/run/open-flow.ts'
import { type ReplicateInput, replicateAndReport } from '../lib/run/replicate/replicate.ts'
import { createRunMeter } from '../lib/run/replicate/run-metrics.ts'
import type { WorkerEndedEvent } from './plan-event.ts'
import { startRuntime, timeOutByLambda } from './runtime.ts'

const runtime = startRuntime(process.env, 'replicate')
const invocation = invocationOf(process.env, 'replicate')
const startWorker = createFunctionStarter(invocation)
const startPlan = createFunctionStarter(invocationOf(process.env, 'plan'))

const shard = z.strictObject({
  flow: z.string(),
  partitions: z.array(
    z.strictObject({
      topic: z.string(),
      partition: z.int().nonnegative(),
      topicIsKnown: z.boolean(),
    }),
  ),
  /** The worker whose leases this one waits for; absent when `plan` invoked the worker. */
  predecessor: z.strictObject({ owner: z.string(), releasesAtMs: z.number() }).optional(),
  /**
   * The id under which this worker was reserved; absent where its predecessor could not reserve
   * one, and in an event of the version before.
   */
  worker: z.string().min(1).optional(),
})
export type ShardEvent = z.infer<typeof shard>

export type ReplicateAnswer = {
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    readonly outcome: string
    readonly detail: string | null
    readonly recordsReplicated: string
  }[]
}

async function run(event: unknown, context: Context): Promise<ReplicateAnswer> {
  const { config, log, metrics, open } = await runtime
  const { flow: name, partitions, worker, predecessor } = shard.parse(event)
  const flow = config.flows.find(each => each.name === name)
  if (flow === undefined) throw new Error(`no flow ${name} in the configuration of this function`)
  const { deps } = open(flow)
  const deadlineMs = drainDeadlineMs({
    nowMs: deps.clock.nowMs(),
    remainingMs: context.getRemainingTimeInMillis(),
    reserveMs: flow.budgets.reserveMs,
  })
  const isContinuous = flow.mode === 'continuous'
  const warn = (text: string) => log({ level: 'warn', text })
  const following: Pick<ReplicateInput, 'successor' | 'tellPlan'> = {
    successor: {
      worker: randomUUID(),
      // The next tick finds the leases free and hands the partitions out again.
      invoke: handOver =>
        startWorker({ flow: name, ...handOver } satisfies ShardEvent, detail =>
          warn(`The successor for flow ${name} could not be invoked: ${detail}`),
        ),
    },
    // So does the next tick when `plan` cannot be told.
    tellPlan: ended =>
      startPlan({ kind: 'worker-ended', ...ended } satisfies WorkerEndedEvent, detail =>
        warn(`plan could not be told that worker ${ended.worker} of flow ${name} ended: ${detail}`),
      ),
  }
  const meter = createRunMeter(values => metrics.flow(flow.name, values))
  const report = await replicateAndReport(
    { ...deps, owner: worker ?? randomUUID() },
    {
      flow,
      partitions,
      claim: {
        role: 'worker',
        run: newOwner(),
        // Lambda tells `plan` of the failure of asynchronous invocations only.
        invocation: invocation.invocationType === 'Event' ? context.awsRequestId : null,
        isReserved: worker !== undefined,
      },
      deadlineMs,
      isContinuous,
      meter,
      predecessor,
      ...(isContinuous ? following : {}),
    },
  )
  meter.end(report)
  const bad = report.partitions.filter(each =>
    ['halted', 'failed', 'unobserved'].includes(each.outcome),
  )
  for (const { topic, partition, outcome, detail } of report.partitions) {
    const text = `${topic}-${partition}: ${outcome}${detail === null ? '' : `, ${detail}`}`
    log({ level: outcome === 'failed' ? 'error' : 'info', text })
  }
  for (const text of report.failures) log({ level: 'error', text: `The run failed while ${text}` })
  if (bad.length > 0 || report.failures.length > 0) {
    const names = bad.map(each => `${each.topic}-${each.partition} ${each.outcome}`).join(', ')
    const attention = `${bad.length} of ${report.partitions.length} partitions need attention`
    const partitionsText = bad.length > 0 ? [`${attention}: ${names}`] : []
    throw new Error([...partitionsText, ...report.failures].join('; '))
  }
  return {
    partitions: report.partitions.map(each => ({
      topic: each.topic,
      partition: each.partition,
      outcome: each.outcome,
      detail: each.detail,
      recordsReplicated: String(each.recordsReplicated),
    })),
  }
}

export const handler = middy<unknown, ReplicateAnswer>(timeOutByLambda)
  .use(injectLambdaContext((await runtime).logger))
  .handler(run)
