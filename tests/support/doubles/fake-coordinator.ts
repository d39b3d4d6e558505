// The transaction coordinator of a cluster in memory, as far as empty transactions go: epochs that
// fence, a marker that appears behind the answer to EndTxn, and a transaction whose owner is gone,
// which the coordinator aborts itself. Follows Apache Kafka 4.3 (TransactionCoordinator,
// TransactionMetadata) at version 3 of AddPartitionsToTxn and EndTxn.

import type { Clock } from '../../../lib/io/clock.ts'
import type {
  MarkerAnswer,
  MarkerRequest,
  ProducerIdAnswer,
} from '../../../lib/io/cluster/transaction-coordinator.ts'
import type { FakeLog } from './fake-log.ts'

export type CoordinatorTimes = {
  /** Writes the marker of a transaction some time behind the answer to EndTxn; null: before it. */
  readonly later: ((write: () => void) => void) | null
  /** An open transaction is aborted after so long, ms; null: no test waits for it. */
  readonly timeoutMs: number | null
}

export const prompt: CoordinatorTimes = { later: null, timeoutMs: null }

type Place = Pick<MarkerRequest, 'topic' | 'partition'>

type Entry = {
  readonly producerId: bigint
  producerEpoch: number
  state: 'empty' | 'ongoing' | 'ending' | 'complete'
  /** The transactions of this id so far: a time-out is about one of them. */
  transactions: number
  place: Place | null
}

const concurrent = { kind: 'busy', errorName: 'CONCURRENT_TRANSACTIONS' } as const

export function createFakeCoordinator(input: {
  readonly clock: Clock
  readonly times: CoordinatorTimes
  readonly logOf: (at: Place) => FakeLog | null
}) {
  const { clock, times, logOf } = input
  const entries = new Map<string, Entry>()
  let producers = 0n
  let coordinatorEpoch = 0

  const add = (): Entry => {
    producers += 1n
    const fresh = { state: 'empty', transactions: 0, place: null } as const
    return { producerId: 1000n + producers, producerEpoch: 0, ...fresh }
  }
  const writeMarker = (entry: Entry): void => {
    if (entry.state !== 'ending') return
    entry.state = 'complete'
    const log = entry.place === null ? null : logOf(entry.place)
    const { producerId, producerEpoch } = entry
    log?.fence({ producerId, producerEpoch, coordinatorEpoch })
  }
  const abort = (entry: Entry): void => {
    entry.state = 'ending'
    if (times.later === null) writeMarker(entry)
    else times.later(() => writeMarker(entry))
  }
  /** TransactionMetadata.prepareFenceProducerEpoch: the owner is gone, and must stay so. */
  const abortForGood = (entry: Entry): void => {
    entry.producerEpoch += 1
    abort(entry)
  }
  const timeOut = (entry: Entry): void => {
    if (times.timeoutMs === null) return
    const { transactions } = entry
    void clock.wait(times.timeoutMs).then(() => {
      if (entry.state === 'ongoing' && entry.transactions === transactions) abortForGood(entry)
    })
  }
  const fenced = ({ producerId, producerEpoch }: MarkerRequest, entry: Entry | undefined) => {
    if (entry?.producerId !== producerId) {
      return { kind: 'fenced', errorName: 'INVALID_PRODUCER_ID_MAPPING' } as const
    }
    if (entry.producerEpoch === producerEpoch) return null
    return { kind: 'fenced', errorName: 'PRODUCER_FENCED' } as const
  }
  const addPartition = (request: MarkerRequest): MarkerAnswer => {
    const entry = entries.get(request.transactionalId)
    const refused = fenced(request, entry)
    if (refused !== null || entry === undefined) return refused ?? concurrent
    if (entry.state === 'ending') return concurrent
    if (logOf(request) === null) return { kind: 'busy', errorName: 'UNKNOWN_TOPIC_OR_PARTITION' }
    if (entry.state === 'ongoing') return { kind: 'decided' }
    entry.state = 'ongoing'
    entry.transactions += 1
    entry.place = { topic: request.topic, partition: request.partition }
    timeOut(entry)
    return { kind: 'decided' }
  }
  const endTxn = (request: MarkerRequest): MarkerAnswer => {
    const entry = entries.get(request.transactionalId)
    const refused = fenced(request, entry)
    if (refused !== null || entry === undefined) return refused ?? concurrent
    if (entry.state === 'empty') return { kind: 'fenced', errorName: 'INVALID_TXN_STATE' }
    if (entry.state === 'ending') return concurrent
    // Sent again once it is complete, it succeeds and writes nothing.
    if (entry.state === 'ongoing') abort(entry)
    return { kind: 'decided' }
  }
  return {
    addPartition,
    endTxn,
    initProducerId(transactionalId: string | null): ProducerIdAnswer {
      const entry = transactionalId === null ? undefined : entries.get(transactionalId)
      if (entry === undefined) {
        const added = add()
        if (transactionalId !== null) entries.set(transactionalId, added)
        return { kind: 'assigned', producerId: added.producerId, producerEpoch: 0 }
      }
      if (entry.state === 'ongoing') abortForGood(entry)
      // Also where the marker is in the log at once, it answers only the next attempt.
      else if (entry.state !== 'ending') {
        entry.state = 'empty'
        entry.producerEpoch += 1
        const { producerId, producerEpoch } = entry
        return { kind: 'assigned', producerId, producerEpoch }
      }
      return concurrent
    },
    writeAbortMarker(request: MarkerRequest): MarkerAnswer {
      const added = addPartition(request)
      return added.kind === 'decided' ? endTxn(request) : added
    },
    /** Another broker is the coordinator from now on: its markers have a higher epoch. */
    moves(): void {
      coordinatorEpoch += 1
    },
    /** True while a transaction waits for the EndTxn of its owner. */
    hasOpen: () => [...entries.values()].some(({ state }) => state === 'ongoing'),
    /** The time-out of every open transaction. */
    timeOutOpen(): void {
      for (const entry of entries.values()) if (entry.state === 'ongoing') abortForGood(entry)
    },
    /** All that decides about later answers. */
    memory: () =>
      [...entries].map(([id, { producerId, producerEpoch, state }]) =>
        [id, producerId, producerEpoch, state].join(' '),
      ),
    /**
     * The effect of transactional.id.expiration.ms: the next producer gets another id. Whatever was
     * open has ended long before.
     */
    forget(): void {
      for (const entry of entries.values()) {
        if (entry.state === 'ongoing') abortForGood(entry)
        writeMarker(entry)
      }
      entries.clear()
    },
  }
}
