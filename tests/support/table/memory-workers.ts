// The store of workers in memory: the same rows as in DynamoDB, through the same codecs. Each call
// is one atomic step, like a conditional write.

import { assignedPartitionsMax } from '../../../lib/core/config/defaults.ts'
import { isWorkerLive } from '../../../lib/core/replicate/budget.ts'
import { type Row, rowReader } from '../../../lib/core/row/row.ts'
import {
  assignedText,
  begunAttributes,
  isWorkerRow,
  readWorker,
  readWorkers,
  renewedAttributes,
  reservedAttributes,
  rosterKey,
  type Worker,
  type WorkerKey,
  workerKey,
} from '../../../lib/core/row/worker-row.ts'
import type { WorkerStore } from '../../../lib/io/table/stores.ts'
import type { Rows } from './memory-stores.ts'

export function createWorkers(rows: Rows): WorkerStore {
  const read = (key: WorkerKey): Worker | null => {
    const row = rows.get(workerKey(key))
    return row === undefined ? null : readWorker(row)
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
      const version = row === undefined ? 0 : rowReader(row).number('version')
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
    declareEnded: async ({ flow, worker, nowMs, when }) => {
      const key = { flow, worker }
      const known = read(key)
      if (known === null || known.endedAtMs !== null) return { kind: 'had-ended' }
      if (when === 'if-expired' && isWorkerLive(known, nowMs)) {
        return { kind: 'live', untilMs: known.aliveUntilMs }
      }
      set(key, { endedAtMs: { N: String(nowMs) } })
      return { kind: 'ended-now' }
    },
    end: async ({ flow, worker, run }) => {
      const key = { flow, worker }
      if (read(key)?.run === run) rows.remove(workerKey(key))
    },
    sweep: async ({ flow, worker, endedBeforeMs }) => {
      const key = { flow, worker }
      const known = read(key)
      if (known === null) return 'swept'
      if ((known.endedAtMs ?? known.aliveUntilMs) >= endedBeforeMs) return 'kept'
      rows.remove(workerKey(key))
      return 'swept'
    },
  }
}
