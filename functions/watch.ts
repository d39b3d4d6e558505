// The handler of the watch function: compares the checkpoints of every flow with both clusters,
// emits metrics, and publishes incidents to the alert topic. It trusts neither plan nor replicate,
// and shares no decision with them. It fails when it could not observe or publish; its heartbeat
// says that it finished.

import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'
import middy from '@middy/core'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { errorText } from '../lib/core/error-text.ts'
import { createNotify } from '../lib/io/alert-topic.ts'
import { notifyIncidents } from '../lib/run/watch/notify.ts'
import { watchFlow } from '../lib/run/watch/watch.ts'
import { topicMetrics, watchMetrics } from '../lib/run/watch/watch-metrics.ts'
import { startRuntime, timeOutByLambda } from './runtime.ts'

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
  const { config, metrics } = await runtime
  const flows: WatchAnswer['flows'][number][] = []
  const failures: string[] = []
  // Concurrently: a cluster that does not answer must not delay the other flows.
  await Promise.all(
    config.flows.map(async flow => {
      try {
        flows.push(await look(flow))
      } catch (error) {
        // A flow that fails must not keep the others unobserved. The failure is thrown below.
        const detail = errorText(error)
        failures.push(`flow ${flow.name}: ${detail}`)
        metrics.flow(flow.name, { Errors: 1 })
      }
    }),
  )
  metrics.heartbeat()
  if (failures.length > 0) throw new Error(failures.join('; '))
  return { flows }
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
