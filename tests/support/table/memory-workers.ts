// The store of workers in memory: the same rows as in DynamoDB, through the same codecs. Each call
// is one atomic step, like a conditional write.

import { assignedPartitionsMax } from '../../../lib/core/config/defaults.ts'
import { isWorkerLive } from '../../../lib/core/replicate/budget.ts'
import { type Row, rowReader } from '../../../lib/core/row/row.ts'
import {
  assignedText,
  begunAttributes,
  isWorkerRow,
  readWorkers,
  renewedAttributes,
  reservedAttributes,
  rosterKey,
  type Worker,
  type WorkerKey,
  workerKey,
} from '../../../lib/core/row/worker-row.ts'
import type { EndDeclared, WorkerStore } from '../../../lib/io/table/stores.ts'
import type { Rows } from './memory-stores.ts'

/** What a row that cannot be read says: nothing but that its worker has ended. */
const unreadable: Omit<Worker, keyof WorkerKey> = {
  role: 'worker',
  run: null,
  invocation: null,
  beganAtMs: 0,
  renewedAtMs: 0,
  aliveUntilMs: 0,
  partitions: 0,
  assigned: [],
  successor: null,
  endedAtMs: 0,
}

/**
 * Declares the end of a worker within one step, for an acquisition that asks and takes at once. A
 * row that cannot be read proves no life.
 */
export function endWorkerNow(
  rows: Rows,
  { nowMs, when, ...key }: Parameters<WorkerStore['declareEnded']>[0],
): EndDeclared {
  const row = rows.get(workerKey(key))
  if (row === undefined || row.endedAtMs !== undefined) return { kind: 'had-ended' }
  const found = readWorkers([row]).workers[0]
  if (when === 'if-expired' && found !== undefined && isWorkerLive(found, nowMs)) {
    return { kind: 'live', untilMs: found.aliveUntilMs }
  }
  rows.update(workerKey(key), { set: { endedAtMs: { N: String(nowMs) } } })
  return { kind: 'ended-now' }
}

export function createWorkers(rows: Rows): WorkerStore {
  const read = (key: WorkerKey): Worker | null => {
    const row = rows.get(workerKey(key))
    if (row === undefined) return null
    return readWorkers([row]).workers[0] ?? { ...unreadable, ...key }
  }
  const set = (key: WorkerKey, attributes: Row) => rows.update(workerKey(key), { set: attributes })
  const setAssigned = (key: WorkerKey, texts: readonly string[]) => {
    if (texts.length === 0) rows.update(workerKey(key), { remove: ['assigned'] })
    else set(key, { assigned: { SS: [...texts] } })
  }
  return {
    list: async flow => readWorkers(rows.list(flow, 'checkpoint-worker').filter(isWorkerRow)),
    reserve: async ({ flow, roster, ids, ...times }) => {
      const key = rosterKey(flow)
      const row = rows.get(key)
      const version = row === undefined ? 0 : readWorkers([row]).roster
      if (version !== roster) {
        const isOurs = ids.every(worker => read({ flow, worker }) !== null)
        return version === roster + 1 && isOurs ? 'reserved' : 'overtaken'
      }
      rows.update(key, { set: { version: { N: String(version + 1) } } })
      for (const worker of ids) set({ flow, worker }, reservedAttributes(times))
      return 'reserved'
    },
    reserveSuccessor: async ({ flow, worker, successor, ...times }) => {
      const own = read({ flow, worker })
      if (own === null || own.endedAtMs !== null) return 'refused'
      if (own.successor !== null) return own.successor === successor ? 'reserved' : 'refused'
      set({ flow, worker }, { successor: { S: successor } })
      set({ flow, worker: successor }, reservedAttributes(times))
      return 'reserved'
    },
    begin: async ({ flow, worker, isReserved, ...claim }) => {
      const key = { flow, worker }
      const known = read(key)
      if (known === null && isReserved) return 'refused'
      if (known !== null && known.endedAtMs !== null) return 'refused'
      if (known !== null && known.run !== null) return known.run === claim.run ? 'begun' : 'refused'
      if (known !== null && !isReserved) return 'refused'
      set(key, begunAttributes(claim))
      return 'begun'
    },
    renew: async ({ flow, worker, run, taken, ...renewal }) => {
      const key = { flow, worker }
      const known = read(key)
      if (known === null || known.endedAtMs !== null || known.run !== run) return { kind: 'ended' }
      const removed = new Set(taken.map(assignedText))
      const kept = known.assigned.filter(each => !removed.has(assignedText(each)))
      const before = rows.get(workerKey(key)) ?? {}
      if (rowReader(before).number('renewals') <= renewal.renewal) {
        set(key, renewedAttributes(renewal))
        setAssigned(key, kept.map(assignedText))
      }
      return { kind: 'renewed', assigned: kept }
    },
    assign: async ({ flow, worker, partitions, nowMs }) => {
      const key = { flow, worker }
      const known = read(key)
      if (known === null || !isWorkerLive(known, nowMs)) return 'refused'
      if (known.run === null || known.successor !== null) return 'refused'
      const texts = new Set([...known.assigned, ...partitions].map(assignedText))
      if (texts.size > assignedPartitionsMax) return 'refused'
      setAssigned(key, [...texts])
      return 'assigned'
    },
    declareEnded: async input => endWorkerNow(rows, input),
    end: async ({ flow, worker, run }) => {
      const key = { flow, worker }
      if (read(key)?.run === run) rows.remove(workerKey(key))
    },
    sweep: async ({ flow, worker, endedBeforeMs }) => {
      const key = { flow, worker }
      const known = read(key)
      if (known === null) return 'kept'
      if ((known.endedAtMs ?? known.aliveUntilMs) >= endedBeforeMs) return 'kept'
      rows.remove(workerKey(key))
      return 'swept'
    },
  }
}
