// A flow of a fixture moved from one cluster to the other as `gapless failover` and `gapless
// failback` do it, with the parts that these commands put together: groups are synced and adopted,
// and the flow back is opened. Runs in this process, and asks nobody.

import { type Context, createContext } from '../../../cli/context.ts'
import { failBackFlow } from '../../../cli/failbacks.ts'
import { failOverFlow } from '../../../cli/failovers.ts'
import { type FlowConfig, parseConfig } from '../../../lib/core/config/config.ts'
import type { FailbackReport } from '../../../lib/run/failback/failback-report.ts'
import type { FailoverReport } from '../../../lib/run/failover/failover-report.ts'
import type { SharedFlowFixture } from './flow-fixture.ts'

type Moving = Pick<SharedFlowFixture, 'aws' | 'table' | 'document'>

export function failOverByCommand(
  world: Moving,
  flow: FlowConfig,
  how: 'planned' | 'unplanned' = 'planned',
): Promise<FailoverReport> {
  const order = { flow, how, topics: null, isDryRun: false, isConfirmed: true }
  return withContext(world, flow, context => failOverFlow(context, order))
}

export function failBackByCommand(world: Moving, flow: FlowConfig): Promise<FailbackReport> {
  const order = { flow, exportTo: { file: null, topic: null }, isDryRun: false, isConfirmed: true }
  return withContext(world, flow, context =>
    failBackFlow(context, { ...order, divergent: 'refuse' }),
  )
}

async function withContext<T>(
  world: Moving,
  { name }: FlowConfig,
  work: (context: Context) => Promise<T>,
): Promise<T> {
  const opened = createContext({ ...world.aws.env, GAPLESS_TABLE: world.table })
  // The commands take the clusters from here, and the flow as they are given it.
  const parsed = parseConfig(world.document({ name, topics: ['any'] }))
  if (parsed.kind !== 'valid') throw new Error(`bad test configuration: ${JSON.stringify(parsed)}`)
  const silent = { note: () => undefined, log: () => undefined }
  try {
    return await work({ ...opened, ...silent, config: async () => parsed.config })
  } finally {
    await opened.close()
  }
}
