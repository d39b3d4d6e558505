// Owns a worker as a row of the table: its key, its attributes, and the row of the roster, which
// counts the changes of who works for a flow. Does not own when a worker counts as live
// (core/replicate/budget.ts) nor the conditional writes (io/table/worker-store.ts).
//
//   pk            the flow                      sk            checkpoint-worker/<worker id>
//   role          worker, or command for `gapless run --once`, which is no chain of workers
//   run           the run that claimed the row; absent while the worker is only reserved
//   invocation    Lambda's request id of the run; absent elsewhere and while reserved
//   beganAtMs     when the row was reserved, and since the claim when the run began
//   renewedAtMs   when the time of the lease was last written, by the clock that wrote it
//   aliveUntilMs  the end of the lease of all that the worker holds
//   renewals      number of the last renewal: a first sending that arrives late undoes no later one
//   partitions    how many partitions it held at its last renewal
//   assigned      a set: partitions that `plan` gives to this worker while it runs
//   successor     the id of the worker that it invoked; absent until then
//   endedAtMs     when it was declared ended, which is final
//   endedBy       the request that declared it: the same request, sent again, knows itself
//
// No attribute but pk and sk has the name of a checkpoint's, so that a policy can let `plan` write
// the one and not the other. The version before lists `checkpoint/` alone and sees none of these.
//
//   pk            the flow                      sk            checkpoint-workers
//   version       grows whenever workers are reserved: two ticks at once do not reserve twice

import type { AssignedPartition } from '../topic-partition.ts'
import {
  failoverSortKey,
  neverFailedOver,
  readFailover,
  type StoredFailover,
} from './failover-row.ts'
import {
  type Attribute,
  CorruptRowError,
  numberAttribute,
  type Row,
  type RowReader,
  rowChange,
  rowReader,
  type StoredRow,
  textAttribute,
} from './row.ts'

export const workerPrefix = 'checkpoint-worker/'
/** Workers, their roster, and whether the flow has failed over. No checkpoint begins like this. */
export const workerListPrefix = 'checkpoint-'
const rosterSortKey = 'checkpoint-workers'

export type WorkerKey = {
  readonly flow: string
  /** Unique to a run: no id is used twice, so an absent row means a worker that has ended. */
  readonly worker: string
}

const roles = ['worker', 'command'] as const
export type WorkerRole = (typeof roles)[number]

export type Worker = WorkerKey & {
  readonly role: WorkerRole
  /** Null while the worker is only reserved. */
  readonly run: string | null
  readonly invocation: string | null
  readonly beganAtMs: number
  readonly renewedAtMs: number
  readonly aliveUntilMs: number
  readonly partitions: number
  readonly assigned: readonly AssignedPartition[]
  readonly successor: string | null
  readonly endedAtMs: number | null
}

export function workerKey({ flow, worker }: WorkerKey): Row {
  return { pk: { S: flow }, sk: { S: `${workerPrefix}${worker}` } }
}

export function rosterKey(flow: string): Row {
  return { pk: { S: flow }, sk: { S: rosterSortKey } }
}

/** The attributes of a row that is reserved for a run which is being invoked. */
export function reservedAttributes(input: {
  readonly nowMs: number
  readonly untilMs: number
}): Row {
  const nowMs: Attribute = { N: String(input.nowMs) }
  return {
    role: { S: 'worker' },
    beganAtMs: nowMs,
    renewedAtMs: nowMs,
    aliveUntilMs: { N: String(input.untilMs) },
    renewals: { N: '0' },
    partitions: { N: '0' },
  }
}

/** The attributes that a run sets when it begins. */
export function begunAttributes(input: {
  readonly run: string
  readonly role: WorkerRole
  readonly invocation: string | null
  readonly nowMs: number
  readonly untilMs: number
}): Row {
  const { present } = rowChange({
    ...reservedAttributes(input),
    role: { S: input.role },
    run: { S: input.run },
    invocation: textAttribute(input.invocation),
  })
  return present
}

/** The attributes of one renewal. */
export function renewedAttributes(input: {
  readonly renewal: number
  readonly nowMs: number
  readonly untilMs: number
  readonly partitions: number
}): Row {
  const { present } = rowChange({
    renewals: numberAttribute(input.renewal),
    renewedAtMs: numberAttribute(input.nowMs),
    aliveUntilMs: numberAttribute(input.untilMs),
    partitions: numberAttribute(input.partitions),
  })
  return present
}

/** Reads a row back. Throws `CorruptRowError` that names the row and the attribute. */
export function readWorker(row: StoredRow): Worker {
  const read = rowReader(row)
  const key = read.text('sk')
  if (!key.startsWith(workerPrefix)) throw read.corrupt('sk', `${workerPrefix}<worker id>`)
  return {
    flow: read.text('pk'),
    worker: key.slice(workerPrefix.length),
    role: readRole(read),
    run: read.optional('run', read.text),
    invocation: read.optional('invocation', read.text),
    beganAtMs: read.number('beganAtMs'),
    renewedAtMs: read.number('renewedAtMs'),
    aliveUntilMs: read.number('aliveUntilMs'),
    partitions: read.number('partitions'),
    assigned: (read.optional('assigned', read.texts) ?? []).map(each => readAssigned(read, each)),
    successor: read.optional('successor', read.text),
    endedAtMs: read.optional('endedAtMs', read.number),
  }
}

function readRole(read: RowReader): WorkerRole {
  const text = read.text('role')
  const role = roles.find(each => each === text)
  if (role === undefined) throw read.corrupt('role', `one of ${roles.join(', ')}`)
  return role
}

/** <topic>/<partition>, and /new behind it; topic names hold no slash, so it is unambiguous. */
export function assignedText({ topic, partition, topicIsKnown }: AssignedPartition): string {
  return `${topic}/${partition}${topicIsKnown ? '' : '/new'}`
}

const assignedShape = /^([^/]+)\/(\d{1,10})(\/new)?$/

function readAssigned(read: RowReader, text: string): AssignedPartition {
  const [, topic, digits, isNew] = assignedShape.exec(text) ?? []
  if (topic === undefined || digits === undefined) {
    throw read.corrupt('assigned', 'texts of the form <topic>/<partition>')
  }
  return { topic, partition: Number(digits), topicIsKnown: isNew === undefined }
}

/** The workers of a listing. */
export type ListedWorkers = {
  readonly workers: readonly Worker[]
  /** The version of the roster; 0 where no worker was reserved yet, or it cannot be read. */
  readonly roster: number
  /** A row that cannot be read proves no life: its worker has ended. One description each. */
  readonly corruptWorkers: readonly { readonly worker: string; readonly detail: string }[]
  /** Which cluster applications use. */
  readonly failover: StoredFailover
}

export function isWorkerRow({ sk }: StoredRow): boolean {
  return (
    sk?.S === rosterSortKey || sk?.S === failoverSortKey || sk?.S?.startsWith(workerPrefix) === true
  )
}

/**
 * Reads the rows of a listing for which `isWorkerRow` is true. Throws `CorruptRowError` where it
 * cannot be told whether the flow has failed over: nothing may be copied then.
 */
export function readWorkers(rows: readonly StoredRow[]): ListedWorkers {
  const workers: Worker[] = []
  const corruptWorkers: { worker: string; detail: string }[] = []
  let roster = 0
  let failover = neverFailedOver
  for (const row of rows) {
    const sortKey = row.sk?.S ?? ''
    if (sortKey === failoverSortKey) {
      failover = readFailover(row)
      continue
    }
    const isRoster = sortKey === rosterSortKey
    try {
      if (isRoster) roster = rowReader(row).number('version')
      else workers.push(readWorker(row))
    } catch (error) {
      if (!(error instanceof CorruptRowError)) throw error
      // A roster that cannot be read is written anew when workers are reserved.
      const worker = sortKey.slice(workerPrefix.length)
      if (!isRoster) corruptWorkers.push({ worker, detail: error.message })
    }
  }
  return { workers, roster, corruptWorkers, failover }
}
