// A process that runs a flow again and again, as scheduled ticks do, until it is told to retire
// because another process runs. It is killed from outside. It writes a line for each activity. It
// ends with the error of a run that failed, as an invocation does: the next run is in a new
// process. Started by child.ts.
//
//   node process.ts ORDER     ORDER: a `ChaosOrder` as JSON
//
// Writes lines:                     Reads lines:
//   begun ACTIVITY                    retire           this run is the last one
//   ended ACTIVITY                    wait ACTIVITY    block as soon as that begins
//   acknowledged RECORDS
//   refused record-batch|checkpoint   a write of a process whose lease another one has
//   hand-over JSON                    a `HandOver`
//   run OUTCOME...                    a run ended
//   log TEXT                          a log line of the run
//   sent BATCH: ANSWER                for the reader of the transcript
//   saved POSITION: ANSWER

import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { type Config, type FlowConfig, parseConfig } from '../../../lib/core/config/config.ts'
import { positionOf } from '../../../lib/core/partition/partition-state.ts'
import type { HandOver } from '../../../lib/core/replicate/hand-over.ts'
import type { Cluster } from '../../../lib/io/cluster/cluster.ts'
import { createDynamoDbClient } from '../../../lib/io/table/dynamodb-client.ts'
import type { CheckpointStore } from '../../../lib/io/table/stores.ts'
import { errorName } from '../../../lib/kafka/error-codes.ts'
import { producerEpochOf, readRecordBatches } from '../../../lib/kafka/record-batch.ts'
import { BASE_SEQUENCE_AT, RECORDS_COUNT_AT } from '../../../lib/kafka/record-batch-layout.ts'
import { newOwner, openFlow } from '../../../lib/run/open-flow.ts'
import { type RunOnceDeps, runFlowOnce } from '../../../lib/run/operate/run-once.ts'
import { planFlow, workOf } from '../../../lib/run/plan/plan.ts'
import { replicateAndReport } from '../../../lib/run/replicate/replicate.ts'
import { claimOf } from '../worlds/claim.ts'
import type { Activity } from './kills.ts'

export type ChaosOrder = {
  readonly config: unknown
  readonly table: string
  /** How long a continuous run lasts; null: runs end when they have caught up. */
  readonly continuousMs: number | null
  /** The hand-over of the predecessor; null: this process has none. */
  readonly handOver: HandOver | null
}

/** Long enough to be frozen in: then the request is sent after the process wakes. */
const HOLD_STILL_MS = 2_000
const PLAN_AGAIN_MS = 250
/** How long leases of others are awaited: then only the free partitions are copied. */
const BUSY_MS_MAX = 7_000

function say(line: string): void {
  // A write to a pipe is synchronous: the reader has the line before the process goes on.
  process.stdout.write(`${line}\n`)
}

let holdAt: string | null = null

async function during<T>(activity: Activity, work: () => Promise<T>): Promise<T> {
  say(`begun ${activity}`)
  if (holdAt === activity) {
    holdAt = null
    // Blocks the thread: no other code may run between the begin and the freeze.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HOLD_STILL_MS)
  }
  try {
    return await work()
  } finally {
    say(`ended ${activity}`)
  }
}

function watchedTarget(target: Cluster): Cluster {
  return {
    ...target,
    produce: async (leaderId, request) => {
      const answer = await during('produce', () => target.produce(leaderId, request))
      let records = 0
      for (const { name, partitions } of request.topics) {
        for (const each of partitions) {
          const found = answer.partitions.find(
            ({ topic, partition }) => topic === name && partition === each.partition,
          )
          if (found === undefined) continue
          const error = errorName(found.errorCode)
          const batch = describeBatch(each.records)
          say(`sent ${name}-${each.partition} ${batch}: ${error} ${found.baseOffset}`)
          if (found.errorCode === 0) records += each.records.readInt32BE(RECORDS_COUNT_AT)
          if (error === 'INVALID_PRODUCER_EPOCH') say('refused record-batch')
        }
      }
      say(`acknowledged ${records}`)
      return answer
    },
    writeAbortMarker: request => during('recovery', () => target.writeAbortMarker(request)),
  }
}

function describeBatch(records: Buffer): string {
  const first = readRecordBatches(records).batches[0]
  if (first?.kind !== 'v2') return 'no batch'
  const sequence = records.readInt32BE(BASE_SEQUENCE_AT)
  const { recordsCount, producerId } = first
  return `producer ${producerId} epoch ${producerEpochOf(first)} sequence ${sequence} records ${recordsCount}`
}

type Save = Parameters<CheckpointStore['save']>[0]

function describeSave({ key, fence, write, state, lease }: Save): string {
  const position = positionOf(state)
  const { nextSourceOffset, nextTargetOffset } = position ?? {}
  const at = `${state.kind} at source ${nextSourceOffset} target ${nextTargetOffset}`
  return `${key.topic}-${key.partition} fence ${fence} write ${write} ${at} ${lease.kind}`
}

function watchedCheckpoints(checkpoints: CheckpointStore): CheckpointStore {
  return {
    ...checkpoints,
    save: async input => {
      const saved = await during('checkpoint', () => checkpoints.save(input))
      if (saved === 'lease-lost') say('refused checkpoint')
      say(`saved ${describeSave(input)}: ${saved}`)
      return saved
    },
  }
}

type Chain = { handOver: HandOver | null }

/** One continuous run, as a worker of continuous mode performs it. */
async function runContinuously(
  deps: RunOnceDeps,
  input: {
    readonly flow: FlowConfig
    readonly continuousMs: number
    readonly chain: Chain
    readonly interrupted: AbortSignal
  },
): Promise<readonly { readonly outcome: string }[]> {
  const { flow, continuousMs, chain, interrupted } = input
  const { handOver } = chain
  chain.handOver = null
  const partitions = handOver?.partitions ?? (await findWork(deps, flow, interrupted))
  if (partitions.length === 0) return []
  const invoke = async (next: HandOver) => say(`hand-over ${JSON.stringify(next)}`)
  const successor = { worker: randomUUID(), invoke }
  const owner = handOver?.worker ?? deps.owner
  const report = await replicateAndReport(
    { ...deps, owner },
    {
      flow,
      partitions,
      claim: claimOf(newOwner(), { isReserved: handOver?.worker !== undefined }),
      deadlineMs: deps.clock.nowMs() + continuousMs,
      isContinuous: true,
      interrupted,
      predecessor: handOver?.predecessor,
      // A chain has two runs. The tick after it finds the partitions whose lease was not free.
      ...(handOver === null ? { successor } : {}),
    },
  )
  return report.partitions
}

async function findWork(deps: RunOnceDeps, flow: FlowConfig, interrupted: AbortSignal) {
  const patienceEndsMs = deps.clock.nowMs() + BUSY_MS_MAX
  for (;;) {
    const plan = await planFlow(deps, flow)
    const isFree = plan.partitions.every(each => each.kind !== 'busy')
    const work = workOf(plan, 'continuous')
    const waited = deps.clock.nowMs() >= patienceEndsMs
    if (interrupted.aborted || waited || (isFree && work.length > 0)) return work
    await deps.clock.wait(PLAN_AGAIN_MS, interrupted)
  }
}

function readOrders(): { readonly isLast: () => boolean } {
  let isRetired = false
  const lines = createInterface({ input: process.stdin })
  lines.on('line', line => {
    if (line === 'retire') isRetired = true
    holdAt = /^wait (.+)$/.exec(line)?.[1] ?? holdAt
  })
  // The parent has ended, so no process is left to kill this one.
  lines.once('close', () => process.exit(2))
  return { isLast: () => isRetired }
}

async function main(order: ChaosOrder): Promise<void> {
  const orders = readOrders()
  const parsed = parseConfig(order.config)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const { config } = parsed
  const ending = new AbortController()
  process.once('SIGTERM', () => ending.abort())
  const interrupted = ending.signal
  const { flow, deps, close } = open(config, order.table)
  const { continuousMs } = order
  const chain = { handOver: order.handOver }
  while (!interrupted.aborted && !orders.isLast()) {
    const run = { ...deps, owner: newOwner() }
    const ended =
      continuousMs === null
        ? (await runFlowOnce(run, flow, interrupted)).partitions
        : await runContinuously(run, { flow, continuousMs, chain, interrupted })
    say(`run ${ended.map(each => each.outcome).join(' ')}`)
  }
  await close()
  process.exit(0)
}

function open(config: Config, table: string) {
  const [flow] = config.flows
  if (flow === undefined) throw new Error('no flow in the configuration')
  const client = createDynamoDbClient(process.env)
  const { deps, close } = openFlow({
    config,
    flow,
    client,
    table,
    log: ({ text }) => say(`log ${text}`),
  })
  const target = watchedTarget(deps.target)
  const checkpoints = watchedCheckpoints(deps.checkpoints)
  return { flow, close, deps: { ...deps, target, checkpoints } }
}

if (process.argv[2] !== undefined) {
  try {
    await main(JSON.parse(process.argv[2]))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`, () =>
      process.exit(1),
    )
  }
}
