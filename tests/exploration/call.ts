// Owns the requests of an owner as plain data: comparable, repeatable, readable. Times that nothing
// compares within a day are set to one value (when a row was last written, when a producer was
// assigned) or left out (when a log end was seen, how old a batch was), so that histories differ
// only where the difference can matter.

import type {
  TransactWriteItemsCommandInput,
  UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb'
import type { Incident } from '../../lib/core/incident.ts'
import { type Position, positionOf } from '../../lib/core/partition/partition-state.ts'
import type { StoredRow } from '../../lib/core/row/row.ts'
import type { Cluster } from '../../lib/io/cluster/cluster.ts'
import type { MarkerRequest } from '../../lib/io/cluster/transaction-coordinator.ts'
import type { CheckpointStore, LeaseOf } from '../../lib/io/table/stores.ts'
import type { EndOfWorker } from './scenario.ts'

/** When every exploration begins, Unix time, ms. */
export const STARTED_AT_MS = 1_700_000_000_000

export type Call =
  | { readonly kind: 'acquire'; readonly input: Parameters<CheckpointStore['acquire']>[0] }
  | { readonly kind: 'save'; readonly input: Parameters<CheckpointStore['save']>[0] }
  | {
      readonly kind: 'record'
      readonly incident: Incident
      readonly foundUnder: LeaseOf | undefined
    }
  | { readonly kind: 'initProducerId'; readonly id: string | null }
  | {
      readonly kind: 'writeAbortMarker'
      readonly request: Parameters<Cluster['writeAbortMarker']>[0]
    }
  /** The two requests of `writeAbortMarker`. */
  | { readonly kind: 'addPartition'; readonly request: MarkerRequest }
  | { readonly kind: 'endTxn'; readonly request: MarkerRequest }
  | {
      readonly kind: 'listOffsets'
      readonly asked: Parameters<Cluster['listOffsets']>
      /** The owner waits for its marker: asking again equals a request that is served later. */
      readonly isBehindMarker: boolean
    }
  | { readonly kind: 'fetch'; readonly asked: Parameters<Cluster['fetch']> }
  | { readonly kind: 'produce'; readonly asked: Parameters<Cluster['produce']> }
  /** A request of the stores of lib/io/table: of a lease, or of the row of a worker. */
  | { readonly kind: 'table'; readonly request: TableRequest }
  /** Not of an owner: the end of a worker is declared by a notice, or its row is lost. */
  | { readonly kind: 'end-worker'; readonly worker: string; readonly how: EndOfWorker }
  /** A request to the source, which never changes: the answer is known, only its moment is not. */
  | {
      readonly kind: 'fetchSource'
      readonly asked: Parameters<Cluster['fetch']>
      /** Which of the two sources. */
      readonly of: 0 | 1
    }

export type TableRequest =
  | { readonly kind: 'update'; readonly input: UpdateItemCommandInput }
  | { readonly kind: 'transaction'; readonly input: TransactWriteItemsCommandInput }

/** What DynamoDB answers; `refused`: a condition did not hold, and this is the row. */
export type TableAnswer =
  | { readonly kind: 'answered'; readonly answer: unknown }
  | { readonly kind: 'refused'; readonly row: StoredRow | null }

/** True for a call that changes nothing when it is served and its answer is thrown away. */
export function onlyReads({ kind }: Call): boolean {
  return kind === 'listOffsets' || kind === 'fetch' || kind === 'fetchSource'
}

export function isOfTable({ kind }: Call): boolean {
  return kind === 'acquire' || kind === 'save' || kind === 'record' || kind === 'table'
}

/** The deletion of the row of the own worker, the last request of a run. */
export function isDeletion(call: Call): boolean {
  return call.kind === 'table' && call.request.kind === 'transaction'
}

export function isDeclaration(call: Call): boolean {
  if (call.kind !== 'table' || call.request.kind !== 'update') return false
  return call.request.input.ExpressionAttributeValues?.[':endedAtMs'] !== undefined
}

export function isRenewal(call: Call): boolean {
  if (call.kind !== 'table' || call.request.kind !== 'update') return false
  const values = call.request.input.ExpressionAttributeValues ?? {}
  return values[':renewals'] !== undefined && values[':role'] === undefined
}

/** The same call, with the times that do not matter made equal. */
export function canonical(call: Call): Call {
  if (call.kind === 'record') {
    return { ...call, incident: { ...call.incident, detectedAtMs: STARTED_AT_MS } }
  }
  if (call.kind === 'table') return copyOf({ ...call, request: withoutChance(call.request) })
  if (call.kind !== 'save') return copyOf(call)
  const { input } = call
  const { state } = input
  if (state.kind === 'unstarted' || state.kind === 'failed-over') {
    return { ...call, input: { ...input, nowMs: STARTED_AT_MS } }
  }
  const { logEnds, lastLatencyMs, ...position } = state.position
  const same = withoutAges(position)
  return { ...call, input: { ...input, nowMs: STARTED_AT_MS, state: { ...state, position: same } } }
}

/** All producers here are younger than a day, and nothing else compares these times. */
export function withoutAges(position: Position): Position {
  const { producer, sameOffsets } = position
  return {
    ...position,
    producer: producer === null ? null : { ...producer, assignedAtMs: STARTED_AT_MS },
    ...(sameOffsets === undefined ? {} : { sameOffsets: { ...sameOffsets, atMs: STARTED_AT_MS } }),
  }
}

/** The request that declares an end has a random name; nothing compares it here. */
function withoutChance(request: TableRequest): TableRequest {
  if (request.kind !== 'update') return request
  const { input } = request
  const { ExpressionAttributeValues: values } = input
  if (values?.[':endedBy'] === undefined) return request
  const same = { ...values, ':endedBy': { S: 'somebody' } }
  return { ...request, input: { ...input, ExpressionAttributeValues: same } }
}

/** Text that is equal for equal values: bigints, buffers and all. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, name, shown: unknown) {
    const raw = this[name]
    if (raw instanceof Uint8Array) return `bytes ${Buffer.from(raw).toString('base64')}`
    return typeof shown === 'bigint' ? `${shown}n` : shown
  })
}

/** A deep copy, because the receiver may write into its buffers. */
export function copyOf<T>(value: T): T {
  return copy(value) as T
}

function copy(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (Array.isArray(value)) return value.map(copy)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, copy(each)]))
}

/** The call as a line of a counterexample. */
export function tell(call: Call): string {
  switch (call.kind) {
    case 'acquire':
      return 'asks for the lease'
    case 'table':
      return tellRequest(call.request)
    case 'end-worker':
      return `worker ${call.worker} is ${call.how === 'lost' ? 'lost' : 'declared ended'}`
    case 'save': {
      const { state, lease, fence } = call.input
      const position = positionOf(state)
      const at = position === null ? '' : ` at source offset ${position.nextSourceOffset}`
      const until = lease.kind === 'renew' ? `lease until ${seconds(lease.untilMs)}` : 'releases'
      return `checkpoint${at}, fence ${fence}, ${until}`
    }
    case 'record':
      return `incident ${call.incident.id}, fence ${call.foundUnder?.fence}`
    case 'initProducerId':
      return 'InitProducerId'
    case 'writeAbortMarker':
      return `abort marker of epoch ${call.request.producerEpoch}`
    case 'addPartition':
      return `a transaction of epoch ${call.request.producerEpoch} begins`
    case 'endTxn':
      return `a transaction of epoch ${call.request.producerEpoch} ends`
    case 'listOffsets':
      return 'log end of the target'
    case 'fetch':
      return `fetch of the target from ${fetchOffset(call.asked)}`
    case 'fetchSource':
      return `fetch of the source from ${fetchOffset(call.asked)}`
    case 'produce': {
      const bytes = call.asked[1].topics[0]?.partitions[0]?.records
      if (bytes === undefined) return 'produce'
      return `produce of epoch ${bytes.readInt16BE(51)}, sequence ${bytes.readInt32BE(53)}`
    }
  }
}

function tellRequest({ kind, input }: TableRequest): string {
  if (kind === 'transaction') return 'deletes the row of its worker'
  const key = input.Key?.sk?.S ?? ''
  const values = input.ExpressionAttributeValues ?? {}
  if (values[':endedAtMs'] !== undefined) return `declares the end of ${key}`
  if (values[':seenFence'] !== undefined) return 'takes the lease from the worker that ended'
  if (values[':leaseUntilMs'] !== undefined) return 'takes the lease if it is over'
  const until = Number(values[':aliveUntilMs']?.N)
  if (values[':role'] !== undefined) return `begins ${key}, until ${seconds(until)}`
  if (values[':renewals'] !== undefined) return `renews ${key}, until ${seconds(until)}`
  return `leaves ${key} to a lease of its own`
}

export function seconds(ms: number): string {
  return `${(ms - STARTED_AT_MS) / 1000} s`
}

function fetchOffset([, request]: Parameters<Cluster['fetch']>): bigint | undefined {
  return request.topics[0]?.partitions[0]?.fetchOffset
}
