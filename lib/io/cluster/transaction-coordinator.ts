// Owns the requests by which a partition owns its producer ids: InitProducerId, and the abort of a
// transaction, whose marker fences every earlier producer epoch (KIP-98) and takes one offset. Does
// not own how often a request is sent again (run/recover/producer-identity.ts).

import {
  addPartitionsToTxnV3,
  type Connection,
  endTxnV3,
  findCoordinatorV4,
  initProducerIdV4,
} from '@platformatic/kafka'
import { errorName } from '../../kafka/error-codes.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'
import type { Address } from './connection.ts'

export type ProducerIdentity = { readonly producerId: bigint; readonly producerEpoch: number }

/** The answers of a cluster that did not perform the request. */
export type NotYet =
  /** The same request will succeed in a moment: a coordinator loads, a transaction ends. */
  | { readonly kind: 'busy'; readonly errorName: string }
  | { readonly kind: 'denied'; readonly errorName: string }

export type ProducerIdAnswer = ({ readonly kind: 'assigned' } & ProducerIdentity) | NotYet

export type MarkerAnswer =
  /** The coordinator has decided to abort; the marker is in the log a moment later. */
  | { readonly kind: 'decided' }
  /** Another producer was assigned a later epoch meanwhile. */
  | { readonly kind: 'fenced'; readonly errorName: string }
  | NotYet

export type MarkerRequest = ProducerIdentity & {
  readonly transactionalId: string
  readonly topic: string
  readonly partition: number
}

export type TransactionCoordinator = {
  /**
   * Assigns the producer id of `transactionalId` with an epoch higher than any before. With null
   * the producer id has no transactional id, and no later producer can fence it. Throws
   * `BrokerFailure` when the cluster does not answer.
   */
  initProducerId(transactionalId: string | null): Promise<ProducerIdAnswer>
  /**
   * Writes one abort marker of this producer into a partition: its leader then refuses every
   * earlier epoch with INVALID_PRODUCER_EPOCH (ProducerAppendInfo.checkProducerEpoch). `produce`
   * puts data into the transaction that the marker ends; an error in it leaves the transaction open
   * until the next `initProducerId`.
   */
  writeAbortMarker(request: MarkerRequest, produce?: () => Promise<void>): Promise<MarkerAnswer>
}

/**
 * Bounds an empty transaction whose EndTxn never arrives. No consumer waits for it, because it has
 * no record. At most the broker's transaction.max.timeout.ms (15 minutes).
 */
const TRANSACTION_TIMEOUT_MS = 60_000
const TRANSACTION_COORDINATOR = 1

/** Errors while a coordinator moves, loads, or still ends the previous transaction. */
const busyErrors: ReadonlySet<string> = new Set([
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'CONCURRENT_TRANSACTIONS',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'REQUEST_TIMED_OUT',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
])

const fencedErrors: ReadonlySet<string> = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
  // The producer that came after us has decided our transaction.
  'INVALID_TXN_STATE',
])

export function createTransactionCoordinator(input: {
  readonly cluster: string
  readonly onAnyBroker: <T>(request: (on: Connection) => Promise<T>) => Promise<T>
  readonly onBrokerAt: <T>(at: Address, request: (on: Connection) => Promise<T>) => Promise<T>
}): TransactionCoordinator {
  const { cluster, onAnyBroker, onBrokerAt } = input
  const failed = (code: number): NotYet => {
    const error = errorName(code)
    if (error.endsWith('AUTHORIZATION_FAILED')) return { kind: 'denied', errorName: error }
    if (busyErrors.has(error)) return { kind: 'busy', errorName: error }
    const detail = `the transaction coordinator answered ${error}`
    throw new BrokerFailure({ reason: 'unreachable', cluster, detail })
  }
  // Markers follow each other closely, and a coordinator rarely moves.
  const known = new Map<string, Address>()
  const findCoordinator = async (transactionalId: string): Promise<Address | NotYet> => {
    const answer = await onAnyBroker(on =>
      findCoordinatorV4.api.async(on, TRANSACTION_COORDINATOR, [transactionalId]),
    )
    const [found] = answer.coordinators
    if (found === undefined) return { kind: 'busy', errorName: 'COORDINATOR_NOT_AVAILABLE' }
    if (found.errorCode !== 0) return failed(found.errorCode)
    const address = { host: found.host, port: found.port }
    known.set(transactionalId, address)
    return address
  }
  /** Any answer but success asks for the coordinator again. */
  const atCoordinator = async <T>(
    transactionalId: string,
    request: (at: Address) => Promise<T>,
    isOk: (answer: T) => boolean,
  ): Promise<T | NotYet> => {
    const at = known.get(transactionalId) ?? (await findCoordinator(transactionalId))
    if ('kind' in at) return at
    known.delete(transactionalId)
    const answer = await request(at)
    if (isOk(answer)) known.set(transactionalId, at)
    return answer
  }
  return {
    async initProducerId(transactionalId) {
      const request = (on: Connection) => {
        const timeoutMs = transactionalId === null ? 0 : TRANSACTION_TIMEOUT_MS
        return initProducerIdV4.api.async(on, transactionalId, timeoutMs, -1n, -1)
      }
      const at = transactionalId === null ? null : await findCoordinator(transactionalId)
      if (at !== null && 'kind' in at) return at
      const answer = await (at === null ? onAnyBroker(request) : onBrokerAt(at, request))
      if (answer.errorCode !== 0) return failed(answer.errorCode)
      const { producerId, producerEpoch } = answer
      return { kind: 'assigned', producerId, producerEpoch }
    },
    async writeAbortMarker(request, produce) {
      const { transactionalId, producerId, producerEpoch, topic, partition } = request
      const topics = [{ name: topic, partitions: [partition] }]
      const transaction = { transactionalId, producerId, producerEpoch, verifyOnly: false, topics }
      const write = async (at: Address): Promise<number> => {
        const added = await onBrokerAt(at, on => addPartitionsToTxnV3.api.async(on, [transaction]))
        const partitions = added.resultsByTransaction.flatMap(each => each.topicResults)
        const addedCode = partitions[0]?.resultsByPartition[0]?.partitionErrorCode ?? -1
        if (addedCode !== 0) return addedCode
        await produce?.()
        const ended = await onBrokerAt(at, on =>
          endTxnV3.api.async(on, transactionalId, producerId, producerEpoch, false),
        )
        return ended.errorCode
      }
      const ended = await atCoordinator(transactionalId, write, code => code === 0)
      if (typeof ended !== 'number') return ended
      if (ended === 0) return { kind: 'decided' }
      const error = errorName(ended)
      return fencedErrors.has(error) ? { kind: 'fenced', errorName: error } : failed(ended)
    },
  }
}
