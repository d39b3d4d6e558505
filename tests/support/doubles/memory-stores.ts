// The stores in memory, for tests of their callers. They hold the same rows as DynamoDB, through
// the same codecs, and pass the same contract (store-contract.ts). Each call is one atomic step,
// like an UpdateItem.

import { leaseBelievedUntilMs } from '../../../lib/core/replicate/budget.ts'
import {
  checkpointKey,
  checkpointPrefix,
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
import { leaseDatedAheadMs, leaseWasFree, readLeaseHolder } from '../../../lib/core/row/lease.ts'
import { type Row, rowReader, type StoredRow } from '../../../lib/core/row/row.ts'
import type { CheckpointStore, IncidentStore } from '../../../lib/io/table/stores.ts'
import type { UpdateParts } from '../../../lib/io/table/update-expression.ts'
import type { StoresUnderTest } from '../contracts/store-contract.ts'

export function createMemoryStores(): StoresUnderTest {
  const rows = createRows()
  return {
    checkpoints: createCheckpoints(rows),
    incidents: createIncidents(rows),
    putRow: async row => rows.put(row),
  }
}

const keepMs = 90 * 24 * 60 * 60 * 1000

type Rows = ReturnType<typeof createRows>

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
    list: async flow => readCheckpoints(rows.list(flow, checkpointPrefix)),
    get: async key => {
      const row = rows.get(checkpointKey(key))
      return row === undefined ? null : readCheckpoint(row)
    },
    acquire: async ({ key, targetTopic, owner, nowMs, leaseMs }) => {
      const before = rows.get(checkpointKey(key)) ?? {}
      const leaseUntilMs = rowReader(before).optional('leaseUntilMs', rowReader(before).number)
      let row = before
      const isExpired =
        leaseUntilMs === null ||
        leaseUntilMs <= nowMs ||
        leaseUntilMs > leaseBelievedUntilMs(nowMs, { leaseMs })
      if (isExpired) {
        const fence = rowReader(before).optional('fence', rowReader(before).number) ?? 0
        row = rows.update(checkpointKey(key), {
          set: {
            owner: { S: owner },
            leaseUntilMs: { N: String(nowMs + leaseMs) },
            previousLeaseUntilMs: { N: String(leaseUntilMs ?? 0) },
            targetTopic: { S: targetTopic },
            updatedAtMs: { N: String(nowMs) },
            writes: { N: '0' },
            fence: { N: String(fence + 1) },
          },
          setIfAbsent: { state: { S: 'unstarted' } },
        })
      } else {
        const holder = readLeaseHolder(before)
        if (holder.owner !== owner) {
          return { kind: 'held', owner: holder.owner, untilMs: leaseUntilMs, lease: 'own' }
        }
      }
      const datedAheadMs = leaseDatedAheadMs(row, nowMs)
      return {
        kind: 'acquired',
        checkpoint: readCheckpoint(row),
        cleanHandOver: leaseWasFree(row),
        ...(datedAheadMs === null ? {} : { datedAheadMs }),
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
