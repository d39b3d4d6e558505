// Two clusters, the stores and a clock, all in memory, and runs between them, for the tests of
// lib/run. The clock is virtual, so that a run of minutes takes milliseconds.

import type { Incident } from '../../../lib/core/incident.ts'
import type { LogLine } from '../../../lib/core/monitoring/incident-lines.ts'
import { isControlBatch } from '../../../lib/kafka/record-batch.ts'
import type { ReplicateDeps } from '../../../lib/run/partition/shard-run.ts'
import {
  type ReplicateInput,
  type ReplicateReport,
  replicate,
} from '../../../lib/run/replicate/replicate.ts'
import type { BatchFields } from '../../unit/kafka/batches.ts'
import type { BatchChange } from '../doubles/changing-broker.ts'
import { createFakeCluster } from '../doubles/fake-cluster.ts'
import type { FakeLog } from '../doubles/fake-log.ts'
import { createVirtualClock } from '../doubles/virtual-clock.ts'
import { createMemoryStores } from '../table/memory-stores.ts'
import { claimOf } from './claim.ts'
import { flowOf } from './parsed-flow.ts'

export type World = ReturnType<typeof createWorld>

/** A deadline that no run reaches which ends by itself. */
export const FAR_MS = 600_000

export function createWorld(
  options: {
    readonly flow?: Record<string, unknown>
    readonly sourceBrokers?: number
    readonly targetBrokers?: number
    readonly targetBatchBytesMax?: number
    /** What the standby makes of the batches that it appends; left out: nothing. */
    readonly targetChange?: BatchChange
    readonly targetNamesRecords?: boolean
  } = {},
) {
  const { sourceBrokers = 1, targetBrokers = 1, targetBatchBytesMax = 1024 * 1024 } = options
  const { targetNamesRecords: namesRecords = true } = options
  const clock = createVirtualClock()
  const source = createFakeCluster({ name: 'primary', clock, brokers: sourceBrokers })
  const target = createFakeCluster({
    name: 'standby',
    clock,
    brokers: targetBrokers,
    batchBytesMax: targetBatchBytesMax,
    ...(options.targetChange === undefined ? {} : { change: options.targetChange }),
    namesRecords,
  })
  const { checkpoints, workers, incidents, anchors, putRow } = createMemoryStores()
  const lines: LogLine[] = []
  const log = (line: LogLine): void => {
    lines.push(line)
  }
  const flow = flowOf(options.flow)
  let runs = 0

  const world = {
    clock,
    source,
    target,
    checkpoints,
    workers,
    incidents,
    anchors,
    putRow,
    lines,
    log,
    flow,
    /** The topic on both sides, empty. */
    createTopic(topic: string, partitions = 1): void {
      source.createTopic(topic, partitions)
      target.createTopic(`primary.${topic}`, partitions)
    },
    /** One run of the named partitions; `deps` replaces some of its dependencies. */
    run(
      topic: string,
      input: Partial<Omit<ReplicateInput, 'partitions'>> & {
        readonly partitions?: readonly number[]
        readonly deps?: Partial<ReplicateDeps>
      } = {},
    ): Promise<ReplicateReport> {
      const { partitions = [0], deps = {}, ...rest } = input
      runs += 1
      const { checkpoints, workers, incidents, anchors } = world
      const owner = `run-${runs}`
      return replicate(
        { source, target, checkpoints, workers, incidents, anchors, clock, log, owner, ...deps },
        {
          flow,
          partitions: partitions.map(partition => ({ topic, partition, topicIsKnown: false })),
          claim: claimOf(owner),
          deadlineMs: clock.nowMs() + FAR_MS,
          isContinuous: false,
          ...rest,
        },
      )
    },
    checkpoint: (topic: string, partition = 0) =>
      checkpoints.get({ flow: flow.name, topic, partition }),
    storedIncidents: async (): Promise<readonly Incident[]> =>
      (await incidents.list(flow.name, 'all')).incidents,
    sourceLog: (topic: string, partition = 0): FakeLog => source.log(topic, partition),
    targetLog: (topic: string, partition = 0): FakeLog => target.log(`primary.${topic}`, partition),
  }
  return world
}

let written = 0

/** A batch of `recordsCount` records with a unique payload, so that its copy can be identified. */
export function batchOf(recordsCount: number, fields: BatchFields = {}): BatchFields {
  written += 1
  return { recordsCount, payload: Buffer.from(`batch-${written} of ${recordsCount}`), ...fields }
}

/** Writes batches of `recordsCount` records each, and returns their payloads. */
export function writeBatches(log: FakeLog, batches: number, recordsCount = 1): string[] {
  for (let each = 0; each < batches; each += 1) log.write(batchOf(recordsCount))
  return payloads(log).slice(-batches)
}

/** The payloads of the data batches of a log, in order, without control batches. */
export function payloads(log: FakeLog): string[] {
  return log.batches
    .filter(batch => !isControlBatch(batch))
    .map(batch => batch.bytes.subarray(61).toString())
}
