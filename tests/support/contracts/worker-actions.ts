// The writes of a worker store, with defaults for the arguments that a test does not set.

import { workerStartMsMax } from '../../../lib/core/config/defaults.ts'
import type { Worker } from '../../../lib/core/row/worker-row.ts'
import type { WorkerStore } from '../../../lib/io/table/stores.ts'
import { t0 } from './lease-actions.ts'

export const workerLeaseMs = 6_000

const worker = { flow: 'primary-to-standby', worker: 'worker-1' }

type Change<Name extends keyof WorkerStore> = Partial<Parameters<WorkerStore[Name]>[0]>

export function workerActionsOn(workers: () => WorkerStore) {
  return {
    reserve: (change: Change<'reserve'> = {}) =>
      workers().reserve({
        flow: worker.flow,
        roster: 0,
        ids: [worker.worker],
        nowMs: t0,
        untilMs: t0 + workerStartMsMax,
        ...change,
      }),
    begin: ({ nowMs = t0, ...change }: Change<'begin'> = {}) =>
      workers().begin({
        ...worker,
        isReserved: false,
        run: 'run-1',
        role: 'worker',
        invocation: null,
        nowMs,
        untilMs: nowMs + workerLeaseMs,
        ...change,
      }),
    renew: ({ nowMs = t0 + 1, ...change }: Change<'renew'> = {}) =>
      workers().renew({
        ...worker,
        run: 'run-1',
        renewal: 1,
        nowMs,
        untilMs: nowMs + workerLeaseMs,
        partitions: 0,
        taken: [],
        ...change,
      }),
    assign: (change: Change<'assign'>) =>
      workers().assign({ ...worker, partitions: [], nowMs: t0, ...change }),
    declareEnded: (change: Change<'declareEnded'> = {}) =>
      workers().declareEnded({ ...worker, nowMs: t0, when: 'if-expired', ...change }),
    end: (change: Change<'end'> = {}) => workers().end({ ...worker, run: 'run-1', ...change }),
    sweep: (change: Change<'sweep'> = {}) =>
      workers().sweep({ ...worker, endedBeforeMs: t0, ...change }),
    /** The row of a worker; null when there is none. */
    found: async (id = worker.worker): Promise<Worker | null> => {
      const listed = await workers().list(worker.flow)
      return listed.workers.find(each => each.worker === id) ?? null
    },
  }
}
