// The handler of the sync function: carries what follows the source besides records to the standby
// once a minute: committed offsets of consumer groups, topic configs, ACLs. Nothing is ever written
// to the source but the heartbeat that a flow asks for. It fails when it could not do its work for
// a flow; its own heartbeat, the metric, says that it finished.

import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'
import middy from '@middy/core'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { createNews } from '../lib/run/follow/news.ts'
import { syncFlow } from '../lib/run/sync/sync-flow.ts'
import { pathMetrics, syncMetrics } from '../lib/run/sync/sync-metrics.ts'
import { startRuntime, tickEach, timeOutByLambda } from './runtime.ts'

const runtime = startRuntime(process.env, 'sync')
const news = createNews()

export type SyncAnswer = {
  readonly flows: readonly {
    readonly name: string
    readonly groups: number
    readonly groupsUnsynced: number
    readonly unobserved: number
  }[]
}

async function run(): Promise<SyncAnswer> {
  return { flows: await tickEach(await runtime, sync) }
}

async function sync(flow: FlowConfig): Promise<SyncAnswer['flows'][number]> {
  const { metrics, open } = await runtime
  const { deps, syncing, following, failovers } = open(flow)
  const alsoFollow = { ...deps, ...syncing, ...following }
  const options = { mayCommit: true, alsoFollow, news }
  const synced = await syncFlow({ ...deps, ...syncing, failovers }, flow, options)
  metrics.flow(flow.name, syncMetrics(synced))
  for (const { path, values } of pathMetrics(synced))
    metrics.path({ flow: flow.name, path }, values)
  const { groups, unobserved } = synced
  return {
    name: flow.name,
    groups: groups.groups,
    groupsUnsynced: groups.groupsUnsynced,
    unobserved: unobserved.length,
  }
}

export const handler = middy<unknown, SyncAnswer>(timeOutByLambda)
  .use(injectLambdaContext((await runtime).logger))
  .handler(run)
