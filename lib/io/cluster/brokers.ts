// Owns which broker of a cluster answers a request: any of them, the one with an id, or the
// controller. Broker ids and addresses come from the last Metadata response; until there is one,
// the bootstrap addresses stand for the cluster. Does not own the connections (connection.ts) nor
// what is asked (cluster.ts, admin/).

import { type Connection, metadataV12 } from '@platformatic/kafka'
import { parseBroker } from '../../core/config/broker-address.ts'
import type { ClusterConfig } from '../../core/config/config.ts'
import { type Clock, momentOf, msSince, systemClock } from '../clock.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'
import { createAnyBroker } from './any-broker.ts'
import type { Address, Connections } from './connection.ts'

/** One request of the client library. */
type Request<T> = (on: Connection) => Promise<T>

export type MetadataResponse = Awaited<ReturnType<typeof metadataV12.api.async>>

/** Every function throws `BrokerFailure` when none of the brokers it asks answers. */
export type Brokers = {
  /**
   * Asks the brokers that Metadata named and the bootstrap addresses, until one answers. The
   * request may be sent to several brokers. Ends within `anyBrokerMsMax`.
   */
  onAny<T>(request: Request<T>): Promise<T>
  /** Asks one broker alone. */
  onBroker<T>(address: Address, request: Request<T>): Promise<T>
  /**
   * Asks every broker that Metadata names, once: for what each of them knows alone. A broker that
   * does not answer is a failure beside the answers of the others.
   */
  onEvery<T>(request: Request<T>): Promise<{
    readonly answers: readonly T[]
    readonly failures: readonly BrokerFailure[]
  }>
  /** The address of a broker that the last Metadata response named; throws for another one. */
  addressOf(brokerId: number): Address
  /** Reads Metadata of these topics, of all with null, and with [] only brokers and controller. */
  readMetadata(topics: readonly string[] | null): Promise<MetadataResponse>
  /**
   * Sends a request that changes the cluster to the controller that Metadata names, and sends it
   * again while the controller does not answer or `retryAfterMs` of its response is not null. After
   * 20 s it returns the last response or throws the last failure. An attempt whose response was
   * lost may have been performed, so the request must be one that says so when it is repeated
   * (TOPIC_ALREADY_EXISTS).
   *
   * In KRaft mode every broker forwards such a request to the active controller
   * (ForwardingManager, KIP-590), and Metadata names a random live broker as the controller
   * (MetadataCache.getRandomAliveBrokerId): the next attempt may ask another broker. In ZooKeeper
   * mode a broker that is not the controller answers NOT_CONTROLLER.
   */
  onController<T>(request: Request<T>, retryAfterMs: (response: T) => number | null): Promise<T>
}

/** Longer than one request takes by default: a broker that hangs leaves time for another one. */
const CONTROLLER_DEADLINE_MS = 20_000
const CONTROLLER_RETRY_MS = 200

export function createBrokers(input: {
  readonly cluster: string
  readonly config: ClusterConfig
  readonly connections: Connections
  readonly clock?: Clock
}): Brokers {
  const { cluster, config, connections, clock = systemClock } = input
  const known = new Map<number, Address>()
  const bootstrap = config.brokers.map(parseBroker)

  const anyBroker = createAnyBroker({ cluster, connections, clock })
  const onAny = <T>(request: Request<T>): Promise<T> =>
    anyBroker.ask([...known.values(), ...bootstrap], request)
  const addressOf = (brokerId: number): Address => {
    const address = known.get(brokerId)
    if (address !== undefined) return address
    const detail = `broker ${brokerId} is not in the cluster's metadata`
    throw new BrokerFailure({ reason: 'unreachable', cluster, detail })
  }
  /** Another broker where the controller does not answer: it forwards, or refuses at once. */
  const changing = (controllerId: number): Address => {
    const named = addressOf(controllerId)
    if (!anyBroker.isSilent(named)) return named
    return [...known.values()].find(each => !anyBroker.isSilent(each)) ?? named
  }
  const readMetadata = async (topics: readonly string[] | null) => {
    const requested = topics === null ? null : [...topics]
    const response = await onAny(on => metadataV12.api.async(on, requested, false, false))
    known.clear()
    for (const { nodeId, host, port } of response.brokers) known.set(nodeId, { host, port })
    return response
  }
  const onEvery: Brokers['onEvery'] = async request => {
    const { brokers } = await readMetadata([])
    const asked = await Promise.allSettled(brokers.map(each => anyBroker.askOne(each, request)))
    const failures = asked.flatMap(each => (each.status === 'rejected' ? [each.reason] : []))
    const bug = failures.find(each => !(each instanceof BrokerFailure))
    if (bug !== undefined) throw bug
    return {
      answers: asked.flatMap(each => (each.status === 'fulfilled' ? [each.value] : [])),
      failures,
    }
  }
  return {
    onAny,
    onBroker: anyBroker.askOne,
    onEvery,
    addressOf,
    readMetadata,
    async onController(request, retryAfterMs) {
      const startedAt = momentOf(clock)
      const canWait = (waitMs: number) =>
        msSince(clock, startedAt) + waitMs < CONTROLLER_DEADLINE_MS
      // The loop ends: a request has a time-out, and no attempt begins after the deadline.
      while (true) {
        const { controllerId } = await readMetadata([])
        let waitMs = CONTROLLER_RETRY_MS
        try {
          const response = await anyBroker.askOne(changing(controllerId), request)
          const askedMs = retryAfterMs(response)
          if (askedMs === null) return response
          waitMs = Math.max(askedMs, waitMs)
          if (!canWait(waitMs)) return response
        } catch (error) {
          const isSilent = error instanceof BrokerFailure && error.reason === 'unreachable'
          if (!isSilent || !canWait(waitMs)) throw error
        }
        await clock.wait(waitMs)
      }
    },
  }
}
