// The handler of one tick: observes every flow, creates missing topics on the standby, and invokes
// workers for the partitions with work. A worker reports its own failure (replicate.ts); this
// function fails when it could not hand out work.

import { randomUUID } from 'node:crypto'
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'
import middy from '@middy/core'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { errorText } from '../lib/core/error-text.ts'
import { systemClock } from '../lib/io/clock.ts'
import { createFunctionInvoker, invocationOf } from '../lib/io/function-invoker.ts'
import { eachFlow, type InTime } from '../lib/run/each-flow.ts'
import { handOutWork, type NewWorker } from '../lib/run/plan/hand-out.ts'
import { type Plan, planFlow } from '../lib/run/plan/plan.ts'
import { planMetrics } from '../lib/run/replicate/run-metrics.ts'
import type { ShardEvent } from './replicate.ts'
import { startRuntime, timeOutByLambda } from './runtime.ts'

const runtime = startRuntime(process.env, 'plan')
const invoke = createFunctionInvoker(invocationOf(process.env, 'replicate'))

export type PlanAnswer = {
  readonly flows: readonly {
    readonly name: string
    readonly partitions: number
    readonly shards: number
    readonly halted: number
    readonly unobserved: number
    /** Partitions that workers take which run already. */
    readonly joined: number
  }[]
}

async function run(): Promise<PlanAnswer> {
  const { config, metrics } = await runtime
  const flows: PlanAnswer['flows'][number][] = []
  const failures: string[] = []
  for (const outcome of await eachFlow(config.flows, systemClock, tick)) {
    const { name } = outcome.flow
    const failed = outcome.kind === 'done' ? outcome.value.failed : [errorText(outcome.error)]
    failures.push(...failed.map(detail => `flow ${name}: ${detail}`))
    metrics.flow(name, planMetrics({ errors: failed.length }))
    if (outcome.kind === 'done') flows.push(outcome.value.answer)
  }
  metrics.heartbeat()
  if (failures.length > 0) throw new Error(failures.join('; '))
  return { flows }
}

type Ticked = {
  readonly answer: PlanAnswer['flows'][number]
  /** Workers that could not be invoked, or failed, one sentence each. */
  readonly failed: readonly string[]
}

async function tick(flow: FlowConfig, inTime: InTime): Promise<Ticked> {
  const { log, open } = await runtime
  // Invoking is not part of it: on the local stage it lasts as long as the workers do.
  const { deps } = open(flow)
  const plan = await inTime(planFlow(deps, flow))
  for (const text of plan.warnings) log({ level: 'warn', text })
  const handedOut = await inTime(
    handOutWork(
      { workers: deps.workers, clock: deps.clock, log, newWorker: randomUUID },
      flow,
      plan,
    ),
  )
  const { toInvoke, joined } = handedOut
  const outcomes = await Promise.all(toInvoke.map(each => invoke(eventOf(flow, each))))
  const count = (kind: Plan['partitions'][number]['kind']) =>
    plan.partitions.filter(each => each.kind === kind).length
  const answer = {
    name: flow.name,
    partitions: plan.partitions.length,
    shards: toInvoke.length,
    halted: count('halted'),
    unobserved: count('unobserved'),
    joined,
  }
  return {
    answer,
    failed: outcomes.flatMap(each => (each.kind === 'failed' ? [each.detail] : [])),
  }
}

function eventOf(flow: FlowConfig, { worker, partitions }: NewWorker): ShardEvent {
  return {
    flow: flow.name,
    partitions: partitions.map(({ topic, partition, topicIsKnown }) => {
      return { topic, partition, topicIsKnown }
    }),
    worker,
  }
}

export const handler = middy<unknown, PlanAnswer>(timeOutByLambda)
  .use(injectLambdaContext((await runtime).logger))
  .handler(run)
