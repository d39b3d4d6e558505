// A part of a measurement: one worker that follows a flow's partitions, as the functions' do in
// `mode: continuous`, in a process of its own; counts what that takes.

import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { DynamoDBClient, UpdateItemCommandOutput } from '@aws-sdk/client-dynamodb'
import { type FlowConfig, parseConfig } from '../../lib/core/config/config.ts'
import type { Cluster } from '../../lib/io/cluster/cluster.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { openFlow } from '../../lib/run/open-flow.ts'
import type { RunOnceDeps } from '../../lib/run/operate/run-once.ts'
import { type PartitionWork, planFlow, workOf } from '../../lib/run/plan/plan.ts'
import { replicateAndReport } from '../../lib/run/replicate/replicate.ts'
import { orderOf, report, takeRequests, waitMs } from '../part.ts'
import { peakMemoryMb } from '../process-usage.ts'

export type FollowerOrder = { readonly config: unknown; readonly table: string }

/** Everything since the process started; differences of two are what a time took. */
export type Usage = {
  readonly fetches: number
  readonly produces: number
  /** UpdateItem requests, and what DynamoDB charges for them, in write request units. */
  readonly tableWrites: number
  readonly writeUnits: number
  readonly brokerBytesSent: number
  readonly brokerBytesReceived: number
  readonly cpuMs: number
  readonly memoryMb: number
  readonly peakMemoryMb: number
}

export type FollowerReport =
  | { readonly kind: 'following'; readonly partitions: number }
  | ({ readonly kind: 'usage' } & Usage)
  | { readonly kind: 'ended'; readonly outcomes: Record<string, number> }

const TICK_MS = 1_000
const TICKS_MAX = 60
const RUN_MS = 60 * 60 * 1000

const counts = { fetches: 0, produces: 0, tableWrites: 0, writeUnits: 0 }
const sockets = new Set<Socket>()
subscribe('net.client.socket', created => {
  sockets.add((created as { socket: Socket }).socket)
})

function counted(cluster: Cluster): Cluster {
  return {
    ...cluster,
    fetch: (...args) => {
      counts.fetches += 1
      return cluster.fetch(...args)
    },
    produce: (...args) => {
      counts.produces += 1
      return cluster.produce(...args)
    },
  }
}

/** From now on. The table itself says what a write costs. */
function countWrites(client: DynamoDBClient): void {
  client.middlewareStack.add(
    (next, context) => async args => {
      if (context.commandName !== 'UpdateItemCommand') return next(args)
      const input = { ...args.input, ReturnConsumedCapacity: 'TOTAL' as const }
      counts.tableWrites += 1
      const answer = await next({ ...args, input })
      const { ConsumedCapacity: consumed } = answer.output as UpdateItemCommandOutput
      counts.writeUnits += consumed?.CapacityUnits ?? 0
      return answer
    },
    { step: 'initialize' },
  )
}

/** Of connections to `ports` only: the table is asked over HTTP. */
function usage(ports: ReadonlySet<number | undefined>): Usage {
  const ours = [...sockets].filter(each => ports.has(each.remotePort))
  const cpu = process.cpuUsage()
  return {
    ...counts,
    brokerBytesSent: ours.reduce((sum, each) => sum + each.bytesWritten, 0),
    brokerBytesReceived: ours.reduce((sum, each) => sum + each.bytesRead, 0),
    cpuMs: (cpu.user + cpu.system) / 1000,
    memoryMb: process.memoryUsage.rss() / 2 ** 20,
    peakMemoryMb: peakMemoryMb(process.pid) ?? 0,
  }
}

/** As ticks would, until every partition has its place on the standby, which takes a moment. */
async function planAll(deps: RunOnceDeps, flow: FlowConfig): Promise<PartitionWork[]> {
  let why = ''
  for (let tick = 0; tick < TICKS_MAX; tick += 1) {
    const plan = await planFlow(deps, flow)
    const work = workOf(plan, 'continuous')
    if (work.length > 0 && work.length === plan.partitions.length) return work
    const other = plan.partitions.find(({ kind }) => kind !== 'work' && kind !== 'idle')
    why = `${work.length} of ${plan.partitions.length} partitions; ${other?.kind} ${other?.detail}`
    await waitMs(TICK_MS)
  }
  throw new Error(`flow ${flow.name} is not ready: ${why}`)
}

async function main({ config: document, table }: FollowerOrder): Promise<void> {
  const parsed = parseConfig(document)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const { config } = parsed
  const [flow] = config.flows
  if (flow === undefined) throw new Error('no flow in the configuration')
  const brokers = Object.values(config.clusters).flatMap(each => each.brokers)
  const ports = new Set(brokers.map(each => Number(each.split(':').at(-1))))
  const client = createDynamoDbClient(process.env)
  const log = () => undefined
  const { deps } = openFlow({ config, flow, client, table, log })
  const partitions = await planAll(deps, flow)
  countWrites(client)
  const run = replicateAndReport(
    { ...deps, source: counted(deps.source), target: counted(deps.target) },
    { flow, partitions, deadlineMs: Date.now() + RUN_MS, isContinuous: true },
  )
  takeRequests(() => report({ kind: 'usage', ...usage(ports) }))
  report({ kind: 'following', partitions: partitions.length })
  const ended = await run
  const outcomes = Object.groupBy(ended.partitions, each => `${each.outcome} ${each.detail}`)
  const tallied = Object.entries(outcomes).map(([name, each]) => [name, each?.length ?? 0])
  report({ kind: 'ended', outcomes: Object.fromEntries(tallied) })
}

await main(orderOf<FollowerOrder>())
