// The handler of one tick: observes every flow, creates missing topics on the standby, and invokes
// workers for the partitions with work. A worker reports its own failure (replicate.ts); this
// function fails when it could not hand out work.

import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'
import middy from '@middy/core'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { errorText } from '../lib/core/error-text.ts'
import { newWorkersMax, packShards } from '../lib/core/replicate/shard-packing.ts'
import { createFunctionInvoker, invocationOf } from '../lib/io/function-invoker.ts'
import { type PartitionWork, type Plan, planFlow, workOf } from '../lib/run/plan/plan.ts'
import { planMetrics } from '../lib/run/replicate/run-metrics.ts'
import type { ShardEvent } from './replicate.ts'
import { startRuntime, timeOutByLambda } from './runtime.ts'

const runtime = startRuntime(process.env, 'plan')
const invoke = createFunctionInvoker(invocationOf(process.env))

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
  for (const flow of config.flows) {
    const before = failures.length
    try {
      flows.push(await tick(flow, failures))
    } catch (error) {
      // A flow whose table or cluster fails must not keep the others from their tick. The failure
      // is thrown below.
      failures.push(`flow ${flow.name}: ${errorText(error)}`)
    }
    metrics.flow(flow.name, planMetrics({ errors: failures.length - before }))
  }
  metrics.heartbeat()
  if (failures.length > 0) throw new Error(failures.join('; '))
  return { flows }
}

async function tick(flow: FlowConfig, failures: string[]): Promise<PlanAnswer['flows'][number]> {
  const { log, open } = await runtime
  const plan = await planFlow(open(flow).deps, flow)
  for (const text of plan.warnings) log({ level: 'warn', text })
  const workersMax = newWorkersMax(flow.budgets, plan.workers)
  const { shards, deferred } = packShards(workOf(plan, flow.mode), { ...flow.budgets, workersMax })
  if (deferred.length > 0) {
    const text = `${deferred.length} partitions of flow ${flow.name} wait for the next tick, because ${plan.workers} workers run: raise workersMax`
    log({ level: 'warn', text })
  }
  const outcomes = await Promise.all(shards.map(shard => invoke(eventOf(flow, shard))))
  for (const outcome of outcomes) {
    if (outcome.kind === 'failed') failures.push(`flow ${flow.name}: ${outcome.detail}`)
  }
  const count = (kind: Plan['partitions'][number]['kind']) =>
    plan.partitions.filter(each => each.kind === kind).length
  return {
    name: flow.name,
    partitions: plan.partitions.length,
    shards: shards.length,
    halted: count('halted'),
    unobserved: count('unobserved'),
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
