// The handler of the watch function: compares the checkpoints of every flow with both clusters,
// emits metrics, and publishes incidents to the alert topic. It trusts neither plan nor replicate,
// and shares no decision with them. It fails when it could not observe or publish; its heartbeat
// says that it finished.

import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'
import middy from '@middy/core'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { createNotify } from '../lib/io/alert-topic.ts'
import { notifyIncidents } from '../lib/run/watch/notify.ts'
import { watchFlow } from '../lib/run/watch/watch.ts'
import { topicMetrics, watchMetrics } from '../lib/run/watch/watch-metrics.ts'
import { startRuntime, tickEach, timeOutByLambda } from './runtime.ts'

const runtime = startRuntime(process.env, 'watch')
const notify = createNotify(process.env)

export type WatchAnswer = {
  readonly flows: readonly {
    readonly name: string
    readonly partitions: number
    readonly unobserved: number
    readonly openIncidents: number
    /** Incidents that this invocation published to the alert topic. */
    readonly told: number
  }[]
}

async function run(): Promise<WatchAnswer> {
  return { flows: await tickEach(await runtime, look) }
}

async function look(flow: FlowConfig): Promise<WatchAnswer['flows'][number]> {
  const { metrics, open, stage } = await runtime
  const { deps, watching } = open(flow)
  const health = await watchFlow({ ...deps, ...watching }, flow)
  metrics.flow(flow.name, watchMetrics(health))
  for (const { topic, values } of topicMetrics(health)) {
    metrics.topic({ flow: flow.name, topic }, values)
  }
  const about = { stage, flow: flow.name }
  const told = notify === null ? 0 : await notifyIncidents({ ...watching, notify }, about)
  await watching.history.moveEnded(flow.name, deps.clock.nowMs())
  return {
    name: flow.name,
    partitions: health.partitions.length,
    unobserved: health.partitions.filter(each => each.unobserved.length > 0).length,
    openIncidents: health.openIncidents,
    told,
  }
}

export const handler = middy<unknown, WatchAnswer>(timeOutByLambda)
  .use(injectLambdaContext((await runtime).logger))
  .handler(run)
