// The handler of one tick: observes every flow, creates missing topics on the standby, and invokes
// workers for the partitions with work. A worker reports its own failure (replicate.ts); this
// function fails when it could not hand out work.

import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'
import middy from '@middy/core'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { errorText } from '../lib/core/error-text.ts'
import { newWorkersMax, packShards } from '../lib/core/replicate/shard-packing.ts'
import { systemClock } from '../lib/io/clock.ts'
import { createFunctionInvoker, invocationOf } from '../lib/io/function-invoker.ts'
import { eachFlow, type InTime } from '../lib/run/each-flow.ts'
import { type PartitionWork, type Plan, planFlow, workOf } from '../lib/run/plan/plan.ts'
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
  const plan = await inTime(planFlow(open(flow).deps, flow))
  for (const text of plan.warnings) log({ level: 'warn', text })
  const workersMax = newWorkersMax(flow.budgets, plan.workers)
  const { shards, deferred } = packShards(workOf(plan, flow.mode), { ...flow.budgets, workersMax })
  if (deferred.length > 0) {
    const text = `${deferred.length} partitions of flow ${flow.name} wait for the next tick, because ${plan.workers} workers run: raise workersMax`
    log({ level: 'warn', text })
  }
  const outcomes = await Promise.all(shards.map(shard => invoke(eventOf(flow, shard))))
  const count = (kind: Plan['partitions'][number]['kind']) =>
    plan.partitions.filter(each => each.kind === kind).length
  const answer = {
    name: flow.name,
    partitions: plan.partitions.length,
    shards: shards.length,
    halted: count('halted'),
    unobserved: count('unobserved'),
  }
  return {
    answer,
    failed: outcomes.flatMap(each => (each.kind === 'failed' ? [each.detail] : [])),
  }
}

function eventOf(flow: FlowConfig, shard: readonly PartitionWork[]): ShardEvent {
  return {
    flow: flow.name,
    partitions: shard.map(({ topic, partition, topicIsKnown }) => {
      return { topic, partition, topicIsKnown }
    }),
  }
}

export const handler = middy<unknown, PlanAnswer>(timeOutByLambda)
  .use(injectLambdaContext((await runtime).logger))
  .handler(run)
