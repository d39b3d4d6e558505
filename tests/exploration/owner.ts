// Owns one run of the production loop whose every call is held until it is answered. The loop is
// `replicate` itself; no part of it is a model. Does not own which answer comes when.
//
// Some calls are answered at once, because no other owner changes their answers and the next call
// is held again: topics of both clusters, log ends of the source, the fetch of records to compare,
// the list of incidents, which is empty as long as nothing is wrong, and whether the flow has
// failed over.

import {
  type AttributeValue,
  ConditionalCheckFailedException,
  TransactionCanceledException,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import { neverFailedOver } from '../../lib/core/row/failover-row.ts'
import type { StoredRow } from '../../lib/core/row/row.ts'
import type { ListedWorkers } from '../../lib/core/row/worker-row.ts'
import type { Cluster } from '../../lib/io/cluster/cluster.ts'
import type { MarkerAnswer } from '../../lib/io/cluster/transaction-coordinator.ts'
import { createCheckpointStore } from '../../lib/io/table/checkpoint-store.ts'
import type { WorkerStore } from '../../lib/io/table/stores.ts'
import { createWorkerStore } from '../../lib/io/table/worker-store.ts'
import type { FetchResponse } from '../../lib/kafka/01-fetch.ts'
import type { ReplicateDeps } from '../../lib/run/partition/shard-run.ts'
import { type ReplicateReport, replicate } from '../../lib/run/replicate/replicate.ts'
import { answerAnew, type FakeCluster } from '../support/doubles/fake-cluster.ts'
import { createMemoryDynamoDb } from '../support/table/memory-dynamodb.ts'
import { createRows } from '../support/table/memory-rows.ts'
import { createMemoryStores } from '../support/table/memory-stores.ts'
import { claimOf } from '../support/worlds/claim.ts'
import { type Call, canonical, type TableAnswer, type TableRequest, textOf } from './call.ts'
import { TICK_MS, TOPIC, workerOf, workersFlow } from './scenario.ts'

/** No operator fails over here, and a run asks for nothing else of a listing. */
const neverFailingOver: ListedWorkers = {
  workers: [],
  roster: 0,
  corruptWorkers: [],
  failover: neverFailedOver,
}

const neverEnding: WorkerStore = {
  ...createMemoryStores().workers,
  renew: async () => ({ kind: 'renewed', assigned: [] }),
}

export type Timer = { readonly dueMs: number }

export type Owner = {
  /** Calls that wait for an answer, by number in the order in which they were made. */
  readonly calls: ReadonlyMap<number, Call>
  readonly timers: ReadonlyMap<number, Timer>
  report(): ReplicateReport | null
  /** A forbidden event that happened. */
  problem(): string | null
  /** Until when its leases last, as far as the owner knows. */
  knowsLease(): string
  /** True when the clock was looked at during the last event. */
  sawTime(): boolean
  /**
   * Each event happens at one moment, and ends when everything that follows from it has happened.
   */
  answer(nowMs: number, call: number, value: unknown): Promise<void>
  fail(nowMs: number, calls: readonly number[], error: Error): Promise<void>
  wake(nowMs: number, timer: number): Promise<void>
}

type Parked = {
  readonly call: Call
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

export async function startOwner(input: {
  readonly name: string
  readonly source: FakeCluster
  /** Which of the two sources that is. */
  readonly sourceOf: 0 | 1
  /** Asks for topics; nothing else of it is used. */
  readonly target: FakeCluster
  readonly nowMs: number
  readonly deadline: number
  readonly predecessor?: string | undefined
  readonly flow: FlowConfig
}): Promise<Owner> {
  const { source, sourceOf, target, predecessor, flow } = input
  const ofWorkers = flow === workersFlow
  // No two runs are the same worker.
  const name = ofWorkers ? workerOf(input.name, input.nowMs) : input.name
  const calls = new Map<number, Call>()
  const parked = new Map<number, Parked>()
  const timers = new Map<number, Timer & { readonly wake: () => void }>()
  let now = input.nowMs
  let sawTime = false
  const known = { leaseUntilMs: 0, workerUntilMs: 0, heldAtMs: 0 }
  let numbers = 0
  let report: ReplicateReport | null = null
  let problem: string | null = null
  let awaitsMarker = false

  const park = <T>(asked: Call): Promise<T> => {
    numbers += 1
    const number = numbers
    const call = canonical(asked)
    calls.set(number, call)
    return new Promise<T>((resolve, reject) => {
      parked.set(number, { call, resolve, reject })
    })
  }
  const wrong = (text: string) => {
    problem ??= text
  }
  const parkedTarget: Cluster = {
    ...target,
    listOffsets: (...asked) => {
      const isBehindMarker = awaitsMarker
      awaitsMarker = false
      return park({ kind: 'listOffsets', asked, isBehindMarker })
    },
    fetch: (...asked) => park({ kind: 'fetch', asked }),
    produce: (...asked) => park({ kind: 'produce', asked }),
    initProducerId: id => park({ kind: 'initProducerId', id }),
    writeAbortMarker: async request => {
      if (flow.offsets === 'translate') return park({ kind: 'writeAbortMarker', request })
      const added = await park<MarkerAnswer>({ kind: 'addPartition', request })
      if (added.kind !== 'decided') return added
      const ended = await park<MarkerAnswer>({ kind: 'endTxn', request })
      awaitsMarker = ended.kind === 'decided'
      return ended
    },
  }
  const parkedSource: Cluster = {
    ...source,
    fetch: (...asked) =>
      // Records that are only compared are fetched without waiting.
      asked[1].maxWaitMs === 0
        ? source.fetch(...asked)
        : park({ kind: 'fetchSource', asked, of: sourceOf }),
  }
  const clock: ReplicateDeps['clock'] = {
    nowMs: () => {
      sawTime = true
      return now
    },
    wait: (ms, signal) =>
      new Promise(resolve => {
        if (signal?.aborted) return resolve()
        sawTime = true
        numbers += 1
        const number = numbers
        const end = () => {
          timers.delete(number)
          signal?.removeEventListener('abort', end)
          resolve()
        }
        timers.set(number, { dueMs: now + ms, wake: end })
        signal?.addEventListener('abort', end)
      }),
  }
  const client = createMemoryDynamoDb(createRows(), async command => {
    const answer = await park<TableAnswer>({ kind: 'table', request: requestOf(command) })
    if (answer.kind === 'answered') return answer.answer
    throw refusal(command, answer.row)
  })
  const rows = createCheckpointStore(client, 'table')
  const deps: ReplicateDeps = {
    source: parkedSource,
    target: parkedTarget,
    clock,
    owner: name,
    log: () => undefined,
    workers: {
      ...(ofWorkers ? createWorkerStore(client, 'table') : neverEnding),
      list: async () => neverFailingOver,
    },
    checkpoints: {
      acquire: asked => (ofWorkers ? rows.acquire(asked) : park({ kind: 'acquire', input: asked })),
      save: asked => park({ kind: 'save', input: asked }),
      leave: asked => (ofWorkers ? rows.leave(asked) : Promise.resolve('left')),
      get: () => Promise.reject(new Error('a run reads no row but the one it leases')),
      list: () => Promise.reject(new Error('a run lists no rows')),
    },
    // An anchor is a fact, whoever stores it and when.
    anchors: { append: async () => 'appended' },
    incidents: {
      record: (incident, foundUnder) => park({ kind: 'record', incident, foundUnder }),
      resolve: async ({ id }) => wrong(`an incident that ended: ${id}`),
      list: async () => ({ incidents: [], corrupt: [] }),
      find: async () => ({ incidents: [], corrupt: [] }),
    },
  }
  const happens = async (nowMs: number, event: () => void) => {
    now = nowMs
    sawTime = false
    event()
    await settle()
  }
  const take = (number: number): Parked => {
    const found = parked.get(number)
    if (found === undefined) throw new Error(`${name} has no call ${number}`)
    parked.delete(number)
    calls.delete(number)
    return found
  }
  await happens(now, () => {
    const until = predecessor === undefined ? {} : waitFor(predecessor, now)
    replicate(deps, {
      flow,
      claim: claimOf(name),
      partitions: [{ topic: TOPIC, partition: 0, topicIsKnown: false }],
      deadlineMs: now + input.deadline * TICK_MS,
      isContinuous: false,
      ...until,
    }).then(
      ended => {
        report = ended
      },
      error => wrong(`the run threw: ${error}`),
    )
  })
  return {
    calls,
    timers,
    report: () => report,
    problem: () => problem,
    sawTime: () => sawTime,
    knowsLease: () => textOf(known),
    answer: (nowMs, number, value) =>
      happens(nowMs, () => {
        const { call, resolve } = take(number)
        noteLease(known, call, value)
        // The same answer object goes to every history that waits for it, so each gets a copy.
        const isFetch = call.kind === 'fetch' || call.kind === 'fetchSource'
        resolve((isFetch ? answerAnew(value as FetchResponse) : value) as never)
      }),
    fail: (nowMs, numbers, error) =>
      happens(nowMs, () => {
        for (const number of numbers) take(number).reject(error)
      }),
    wake: (nowMs, number) => happens(nowMs, () => timers.get(number)?.wake()),
  }
}

type KnownLease = {
  /** The end of the lease in the row of the partition. */
  leaseUntilMs: number
  /** The end of the worker's lease, by the newest renewal that was accepted. */
  workerUntilMs: number
  /** When another worker was last found alive. */
  heldAtMs: number
}

function noteLease(known: KnownLease, call: Call, answer: unknown): void {
  if (call.kind === 'acquire') known.leaseUntilMs = call.input.nowMs + call.input.leaseMs
  if (call.kind === 'save' && call.input.lease.kind === 'renew') {
    known.leaseUntilMs = call.input.lease.untilMs
  }
  if (call.kind !== 'table' || call.request.kind !== 'update') return
  const values = call.request.input.ExpressionAttributeValues ?? {}
  const at = (name: string) => Number(values[name]?.N ?? 0)
  if ((answer as TableAnswer).kind === 'refused') {
    if (values[':endedAtMs'] !== undefined) known.heldAtMs = at(':nowMs')
    return
  }
  known.leaseUntilMs = Math.max(known.leaseUntilMs, at(':leaseUntilMs'))
  known.workerUntilMs = Math.max(known.workerUntilMs, at(':aliveUntilMs'))
}

function requestOf(command: unknown): TableRequest {
  if (command instanceof UpdateItemCommand) return { kind: 'update', input: command.input }
  if (command instanceof TransactWriteItemsCommand) {
    return { kind: 'transaction', input: command.input }
  }
  throw new Error('a run reads no row but those that it writes')
}

function refusal(command: unknown, row: StoredRow | null): Error {
  const described = { message: 'The conditional request failed', $metadata: {} }
  if (command instanceof UpdateItemCommand) {
    const Item = row as Record<string, AttributeValue> | null
    return new ConditionalCheckFailedException({ ...described, ...(Item === null ? {} : { Item }) })
  }
  const CancellationReasons = [{ Code: 'ConditionalCheckFailed' }]
  return new TransactionCanceledException({ ...described, CancellationReasons })
}

function waitFor(owner: string, releasesAtMs: number) {
  return { predecessor: { owner, releasesAtMs } }
}

/** Promises settle before this resolves: everything that could happen now has happened. */
function settle(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve)
  })
}
