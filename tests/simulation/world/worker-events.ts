// Owns what happens to the rows of workers in a simulation, beside the runs that hold them: wrong
// notices, rows that are lost, swept or restored, workers that are reserved and never begin, and
// partitions that are assigned. Does not own when (scenario.ts).

import type { Worker } from '../../../lib/core/row/worker-row.ts'
import type { AssignedPartition } from '../../../lib/core/topic-partition.ts'
import type { WorkerStore } from '../../../lib/io/table/stores.ts'
import type { Rows } from '../../support/table/memory-rows.ts'
import type { WorkerEventKind } from '../scenario.ts'
import type { WorkerWatch } from '../worker-invariants.ts'

export type WorkerEvents = { happen(kind: WorkerEventKind, drawn: number): Promise<void> }

export function createWorkerEvents(input: {
  readonly flow: string
  readonly rows: Rows
  readonly workers: WorkerStore
  readonly watch: WorkerWatch
  readonly partitions: readonly AssignedPartition[]
  readonly nowMs: () => number
  readonly say: (line: string) => void
}): WorkerEvents {
  const { flow, rows, workers, watch, partitions, nowMs, say } = input
  const prefix = 'checkpoint-worker/'
  let backup: ReturnType<Rows['list']> = []
  let reserved = 0

  const perform: Record<WorkerEventKind, (worker: Worker | null, drawn: number) => Promise<void>> =
    {
      async 'wrong-notice'(worker) {
        if (worker === null) return
        const when = 'in-any-case'
        await workers.declareEnded({ flow, worker: worker.worker, nowMs: nowMs(), when })
        watch.noteEnd(worker.worker)
      },
      async 'lost-row'(worker) {
        if (worker === null) return
        rows.remove({ pk: { S: flow }, sk: { S: `${prefix}${worker.worker}` } })
        watch.noteEnd(worker.worker)
      },
      async sweep() {
        const { workers: all } = await workers.list(flow)
        for (const { worker } of all) {
          const swept = await workers.sweep({ flow, worker, endedBeforeMs: nowMs() })
          if (swept === 'swept') watch.noteEnd(worker)
        }
      },
      async backup() {
        backup = rows.list(flow, prefix).map(row => ({ ...row }))
      },
      async restore() {
        for (const row of rows.list(flow, prefix)) {
          const sortKey = row.sk?.S ?? ''
          rows.remove({ pk: { S: flow }, sk: { S: sortKey } })
          watch.noteEnd(sortKey.slice(prefix.length))
        }
        for (const row of backup) {
          rows.put(row)
          if (row.endedAtMs === undefined) watch.forgetEnd(String(row.sk?.S).slice(prefix.length))
        }
      },
      async reserve() {
        reserved += 1
        const { roster } = await workers.list(flow)
        const ids = [`reserved-${reserved}`]
        await workers.reserve({ flow, roster, ids, nowMs: nowMs(), untilMs: nowMs() + 30_000 })
      },
      async assign(worker, drawn) {
        const partition = partitions[drawn % partitions.length]
        if (worker === null || partition === undefined) return
        const given = { flow, worker: worker.worker, partitions: [partition], nowMs: nowMs() }
        say(`${partition.partition} is assigned: ${await workers.assign(given)}`)
      },
    }
  return {
    async happen(kind, drawn) {
      const { workers: all } = await workers.list(flow)
      const worker = all[drawn % Math.max(1, all.length)] ?? null
      say(`${kind}: ${worker?.worker ?? 'no worker'}`)
      await perform[kind](worker, drawn)
    },
  }
}
