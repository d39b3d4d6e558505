// The stores in memory, for tests of their callers. They hold the same rows as DynamoDB, through
// the same codecs, and pass the same contract (store-contract.ts). Each call is one atomic step,
// like an UpdateItem.

import { leaseBelievedUntilMs } from '../../../lib/core/replicate/budget.ts'
import {
  checkpointKey,
  readCheckpoint,
  readCheckpoints,
  stateAttributes,
} from '../../../lib/core/row/checkpoint.ts'
import {
  endedIncidentKey,
  endWrites,
  hasEnded,
  idOf,
  type RowWrite,
  recordWrites,
} from '../../../lib/core/row/incident-moves.ts'
import {
  endedPrefix,
  incidentKey,
  incidentPrefix,
  readIncidents,
} from '../../../lib/core/row/incident-row.ts'
import {
  isUnderWorker,
  leaseDatedAheadMs,
  leaseUnderWorker,
  leaseWasFree,
  readLeaseHolder,
  wasTakenFromWorker,
} from '../../../lib/core/row/lease.ts'
import { type Row, rowReader, type StoredRow } from '../../../lib/core/row/row.ts'
import { readWorker, workerKey } from '../../../lib/core/row/worker-row.ts'
import type { CheckpointStore, IncidentStore, LeaseKind } from '../../../lib/io/table/stores.ts'
import type { UpdateParts } from '../../../lib/io/table/update-expression.ts'
import type { StoresUnderTest } from '../contracts/store-contract.ts'
import { createWorkers, endWorkerNow } from './memory-workers.ts'

export function createMemoryStores(): StoresUnderTest {
  const rows = createRows()
  return {
    checkpoints: createCheckpoints(rows),
    workers: createWorkers(rows),
    incidents: createIncidents(rows),
    putRow: async row => rows.put(row),
  }
}

const keepMs = 90 * 24 * 60 * 60 * 1000

export type Rows = ReturnType<typeof createRows>

function createRows() {
  const rows = new Map<string, StoredRow>()
  const keyOf = ({ pk, sk }: StoredRow) => JSON.stringify([pk?.S, sk?.S])
  const get = (key: Row): StoredRow | undefined => rows.get(keyOf(key))
  const put = (row: StoredRow): void => {
    rows.set(keyOf(row), row)
  }
  const update = (
    key: Row,
    { set = {}, setIfAbsent = {}, remove = [] }: UpdateParts,
  ): StoredRow => {
    const removed = new Set(remove)
    const kept = Object.entries({ ...setIfAbsent, ...get(key) }).filter(
      ([name]) => !removed.has(name),
    )
    const row = { ...Object.fromEntries(kept), ...set, ...key }
    put(row)
    return row
  }
  return {
    get,
    put,
    update,
    remove(key: Row): void {
      rows.delete(keyOf(key))
    },
    /** No row changes between a read and a write here, so no condition is looked at. */
    write(writes: readonly RowWrite[]): void {
      for (const { key, ...write } of writes) {
        if (write.kind === 'update') update(key, write)
        else rows.delete(keyOf(key))
      }
    },
    list: (flow: string, prefix: string): StoredRow[] =>
      [...rows.values()].filter(row => row.pk?.S === flow && row.sk?.S?.startsWith(prefix)),
  }
}

function createCheckpoints(rows: Rows): CheckpointStore {
  return {
    list: async flow => readCheckpoints(rows.list(flow, 'checkpoint')),
    get: async key => {
      const row = rows.get(checkpointKey(key))
      if (row === undefined) return null
      const checkpoint = readCheckpoint(row)
      if (!isUnderWorker(row)) return checkpoint
      const { flow } = key
      const worker = rows.get(workerKey({ flow, worker: checkpoint.lease.owner }))
      const holder = worker === undefined ? null : readWorker(worker)
      return { ...checkpoint, lease: leaseUnderWorker(checkpoint.lease, holder) }
    },
    acquire: async ({ key, targetTopic, owner, nowMs, leaseMs, lease = 'own' }) => {
      const before = rows.get(checkpointKey(key)) ?? {}
      const read = rowReader(before)
      const leaseUntilMs = read.optional('leaseUntilMs', read.number)
      const isWorkers = leaseUntilMs !== null && isUnderWorker(before)
      const isFree =
        leaseUntilMs === null ||
        (!isWorkers &&
          (leaseUntilMs <= nowMs || leaseUntilMs > leaseBelievedUntilMs(nowMs, { leaseMs })))
      const holder = isFree ? null : readLeaseHolder(before)
      const isOurs = holder?.owner === owner && before.worker?.S === workerOf(owner, lease)
      let row: StoredRow = before
      if (!isOurs) {
        if (holder !== null) {
          const held = { kind: 'held', owner: holder.owner } as const
          if (!isWorkers) return { ...held, untilMs: holder.untilMs ?? 0, lease: 'own' }
          const end = { flow: key.flow, worker: holder.owner, nowMs, when: 'if-expired' } as const
          const declared = endWorkerNow(rows, end)
          if (declared.kind === 'live')
            return { ...held, untilMs: declared.untilMs, lease: 'worker' }
        }
        const fence = read.optional('fence', read.number) ?? 0
        const worker = workerOf(owner, lease)
        const unset = [
          ...(worker === undefined ? ['worker'] : []),
          ...(holder === null ? ['previousWorker'] : []),
        ]
        row = rows.update(checkpointKey(key), {
          set: {
            owner: { S: owner },
            leaseUntilMs: { N: String(nowMs + leaseMs) },
            previousLeaseUntilMs: { N: String(leaseUntilMs ?? 0) },
            targetTopic: { S: targetTopic },
            updatedAtMs: { N: String(nowMs) },
            writes: { N: '0' },
            fence: { N: String(fence + 1) },
            ...(worker === undefined ? {} : { worker: { S: worker } }),
            ...(holder === null ? {} : { previousWorker: { S: holder.owner } }),
          },
          setIfAbsent: { state: { S: 'unstarted' } },
          remove: unset,
        })
      }
      const tookFromWorker = wasTakenFromWorker(row)
      const datedAheadMs = leaseDatedAheadMs(row, nowMs)
      return {
        kind: 'acquired',
        checkpoint: readCheckpoint(row),
        cleanHandOver: leaseWasFree(row),
        ...(datedAheadMs === null ? {} : { datedAheadMs }),
        ...(tookFromWorker ? { tookFromWorker } : {}),
      }
    },
    save: async ({ key, fence, write, state, nowMs, lease }) => {
      const row = rows.get(checkpointKey(key))
      if (row?.fence?.N !== String(fence)) return 'lease-lost'
      if (Number(row.writes?.N) > write) return 'lease-lost'
      const { present, absent } = stateAttributes(state)
      const updatedAtMs = { N: String(nowMs) }
      const renewed: Row =
        lease.kind === 'renew' ? { leaseUntilMs: { N: String(lease.untilMs) } } : {}
      rows.update(checkpointKey(key), {
        set: { ...present, ...renewed, updatedAtMs, writes: { N: String(write) } },
        remove: lease.kind === 'release' ? [...absent, 'leaseUntilMs'] : absent,
      })
      return 'saved'
    },
    leave: async ({ key, fence }) => {
      if (rows.get(checkpointKey(key))?.fence?.N !== String(fence)) return 'lease-lost'
      rows.update(checkpointKey(key), { remove: ['worker'] })
      return 'left'
    },
  }
}

/** The worker in a row that `owner` acquires; absent under a lease of its own. */
function workerOf(owner: string, lease: LeaseKind): string | undefined {
  return lease === 'worker' ? owner : undefined
}

function createIncidents(rows: Rows): IncidentStore {
  return {
    record: async (incident, foundUnder) => {
      if (foundUnder !== undefined) {
        const row = rows.get(checkpointKey(foundUnder.key))
        if (row?.fence?.N !== String(foundUnder.fence)) return 'overtaken'
      }
      const open = rows.get(incidentKey(incident)) ?? null
      const ended = rows.get(endedIncidentKey(incident)) ?? null
      rows.write(recordWrites(incident, { open, ended }, keepMs))
      return 'recorded'
    },
    resolve: async input => {
      const row = rows.get(incidentKey(input))
      if (row === undefined || hasEnded(row)) return
      rows.write(endWrites(input, row, { ending: input, keepMs }))
    },
    list: async (flow, which) => {
      const open = rows.list(flow, incidentPrefix)
      if (which === 'open') return readIncidents(open.filter(row => !hasEnded(row)))
      const ids = new Set(open.map(idOf))
      const ended = rows.list(flow, endedPrefix).filter(row => !ids.has(idOf(row)))
      return readIncidents([...open, ...ended])
    },
    find: async key => {
      const row = rows.get(incidentKey(key)) ?? rows.get(endedIncidentKey(key))
      return readIncidents(row === undefined ? [] : [row])
    },
  }
}
