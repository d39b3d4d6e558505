// The handler of one tick: observes every flow, creates missing topics on the standby, and invokes
// workers for the partitions with work. A worker reports its own failure (replicate.ts); this
// function fails when it could not hand out work. When it is told that a worker ended, it does the
// same for the flow of that worker alone, at once.

import { randomUUID } from 'node:crypto'
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'
import middy from '@middy/core'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { errorText } from '../lib/core/error-text.ts'
import { systemClock } from '../lib/io/clock.ts'
import { createFunctionInvoker, invocationOf } from '../lib/io/function-invoker.ts'
import { eachFlow, type InTime } from '../lib/run/each-flow.ts'
import { endWorker } from '../lib/run/plan/ended-worker.ts'
import { handOutWork, type NewWorker } from '../lib/run/plan/hand-out.ts'
import { type Plan, planFlow } from '../lib/run/plan/plan.ts'
import { planMetrics } from '../lib/run/replicate/run-metrics.ts'
import { type PlanEvent, readPlanEvent } from './plan-event.ts'
import type { ShardEvent } from './replicate.ts'
import { startRuntime, timeOutByLambda } from './runtime.ts'

const runtime = startRuntime(process.env, 'plan')
const invocation = invocationOf(process.env, 'replicate')
const invoke = createFunctionInvoker(invocation)

export type PlanAnswer = {
  /** Those that were planned: all in a tick, none or one after a notice. */
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

async function run(event: unknown): Promise<PlanAnswer> {
  const { config, log, metrics } = await runtime
  const asked = readPlanEvent(event, invocation.functionName)
  switch (asked.kind) {
    case 'tick': {
      const planned = await planEach(config.flows, tick)
      // A notice emits none: the schedule may have stopped all the same.
      metrics.heartbeat()
      return answerOf(planned)
    }
    case 'notice':
      return answerOf(await replaceEnded(asked))
    case 'ignored':
      log({ level: 'info', text: asked.why })
      return { flows: [] }
  }
}

type Planned = { readonly flows: PlanAnswer['flows']; readonly failures: readonly string[] }

function answerOf({ flows, failures }: Planned): PlanAnswer {
  if (failures.length > 0) throw new Error(failures.join('; '))
  return { flows }
}

/** `work` returns null for a flow that is not planned. */
async function planEach(
  planned: readonly FlowConfig[],
  work: (flow: FlowConfig, inTime: InTime) => Promise<Ticked | null>,
): Promise<Planned> {
  const { metrics } = await runtime
  const flows: PlanAnswer['flows'][number][] = []
  const failures: string[] = []
  for (const outcome of await eachFlow(planned, systemClock, work)) {
    if (outcome.kind === 'done' && outcome.value === null) continue
    const { name } = outcome.flow
    const failed =
      outcome.kind === 'done' ? (outcome.value?.failed ?? []) : [errorText(outcome.error)]
    failures.push(...failed.map(detail => `flow ${name}: ${detail}`))
    metrics.flow(name, planMetrics({ errors: failed.length }))
    if (outcome.kind === 'done' && outcome.value !== null) flows.push(outcome.value.answer)
  }
  return { flows, failures }
}

/** Ends the worker that a notice is about, and hands out at once what it held. */
async function replaceEnded(asked: PlanEvent & { readonly kind: 'notice' }): Promise<Planned> {
  const { config, log, open } = await runtime
  const { notice } = asked
  // A record that names no flow is looked up in every flow: the row of its worker tells.
  const flows = config.flows.filter(each => asked.flow === null || each.name === asked.flow)
  const unknown: string[] = []
  const planned = await planEach(flows, async (flow, inTime) => {
    const ended = await inTime(endWorker(open(flow).deps, { flow: flow.name, notice }))
    if (ended.kind === 'unknown') unknown.push(ended.text)
    else log({ level: 'warn', text: ended.text })
    return ended.kind === 'plan' ? tick(flow, inTime) : null
  })
  if (flows.length === 0) {
    const text = `plan was told of a worker of flow ${asked.flow}, which the configuration does not have`
    log({ level: 'warn', text })
  }
  // One sentence, also where several flows were asked.
  const [text] = unknown
  if (text !== undefined && unknown.length === flows.length) log({ level: 'info', text })
  return planned
}

type Ticked = {
  readonly answer: PlanAnswer['flows'][number]
  /** Workers that could not be invoked, or failed, one sentence each. */
  readonly failed: readonly string[]
}

async function tick(flow: FlowConfig, inTime: InTime): Promise<Ticked> {
  const { log, open } = await runtime
  const { deps } = open(flow)
  const plan = await inTime(planFlow(deps, flow))
  for (const text of plan.warnings) log({ level: 'warn', text })
  const { workers, clock } = deps
  const handOutDeps = { workers, clock, log, newWorker: randomUUID }
  const { toInvoke, joined } = await inTime(handOutWork(handOutDeps, flow, plan))
  // Invoking has no such bound: on the local stage it lasts as long as the workers do.
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
