// Owns the network between a process and the clusters: connections that keep the order of their
// requests, as a broker does, answers that take a drawn time, and broken connections. After a break
// it is unknown which of the requests in flight were served; some may be served after the requests
// of the next connection.

import type { Clock } from '../../../lib/io/clock.ts'
import type { Cluster } from '../../../lib/io/cluster/cluster.ts'
import type { MarkerRequest } from '../../../lib/io/cluster/transaction-coordinator.ts'
import type { ProduceRequest } from '../../../lib/kafka/00-produce.ts'
import { type ErrorName, errorCode } from '../../../lib/kafka/error-codes.ts'
import {
  connectionLost,
  type FakeCluster,
  refuseProduce,
  withoutRecordsOf,
} from '../../support/doubles/fake-cluster.ts'
import type { Chance } from '../../support/seeded-chance.ts'
import type { SimulatedProcess } from './simulated-process.ts'

export type Weather = {
  /** One request in so many fails; 0: none. */
  readonly troubleOneIn: number
  /** The longest time that a request or an answer takes, ms. */
  readonly latencyMsMax: number
  readonly requestTimeoutMs: number
  /** One fetch in so many is answered without records, one without partitions; 0: none. */
  readonly emptyOneIn: number
  readonly throttledOneIn: number
  /** How late a request behind a broken connection is served at most, ms. */
  readonly requestMsMax: number
}

export type NetworkEvents = {
  readonly chance: Chance
  /** Numbers of its own, so that a story is the same where nothing is late. */
  readonly lateness: Chance
  weather(): Weather
  say(line: string): void
  /** Called when a run makes such a request, before anything can delay it. */
  asks(by: SimulatedProcess, what: 'Produce' | 'InitProducerId' | 'EndTxn'): void
  /** Called when a coordinator is asked to end a transaction, before the marker is in the log. */
  ends(by: SimulatedProcess, request: MarkerRequest): void
  /** Called right after a cluster served a request, whether the answer arrives or not. */
  served(by: SimulatedProcess, cluster: string, what: string): void
  lostAnswer(): void
  /** True while the table answers nobody. */
  isTableOut(): boolean
  /** How many weeks have passed: no request is in flight for that long. */
  week(): number
}

type Connection = {
  arrivals: Promise<void>
  answers: Promise<void>
  breaks: PromiseWithResolvers<never>
}

type Trouble = 'none' | 'lost-request' | 'lost-answer' | 'stalled' | 'error'

const refusals = [
  'NOT_ENOUGH_REPLICAS',
  'THROTTLING_QUOTA_EXCEEDED',
  'KAFKA_STORAGE_ERROR',
] as const
const appendedRefusals = ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'REQUEST_TIMED_OUT'] as const
const THROTTLE_MS_MAX = 3_000
const busy = { kind: 'busy', errorName: 'COORDINATOR_LOAD_IN_PROGRESS' } as const

/** The cluster as one process reaches it. */
export function connect(
  cluster: FakeCluster,
  { process, clock, events }: { process: SimulatedProcess; clock: Clock; events: NetworkEvents },
): Cluster {
  const { chance } = events
  const connections = new Map<string, Connection>()
  const open = (to: string): Connection => {
    const breaks = Promise.withResolvers<never>()
    breaks.promise.catch(() => undefined)
    const opened = { arrivals: Promise.resolve(), answers: Promise.resolve(), breaks }
    connections.set(to, opened)
    return opened
  }
  const draw = (): Trouble => {
    const { troubleOneIn } = events.weather()
    if (troubleOneIn === 0 || !chance.oneIn(troubleOneIn)) return 'none'
    return chance.pick(['lost-request', 'lost-answer', 'stalled', 'error'])
  }
  const latency = () => clock.wait(chance.integer(0, events.weather().latencyMsMax))

  const ask = async <T>(
    to: string,
    what: string,
    request: { readonly serve: () => Promise<T>; readonly spoil?: (chance: Chance) => Promise<T> },
  ): Promise<T> => {
    const failsBefore = await process.cross(`before ${cluster.name} ${what}`)
    const connection = connections.get(to) ?? open(to)
    const week = events.week()
    const trouble = failsBefore ? 'lost-request' : draw()
    // Whether a broken or dead connection still delivers the request is decided now.
    const isDeliveredBehindBreak = chance.oneIn(2)
    let isBroken = false
    connection.breaks.promise.catch(() => {
      isBroken = true
    })
    const breakOff = () => {
      if (connections.get(to) === connection) connections.delete(to)
      events.say(`${process.name} loses its connection to ${cluster.name} ${to} (${what})`)
      connection.breaks.reject(connectionLost(cluster.name))
    }
    const arrive = async (): Promise<T> => {
      await connection.arrivals.catch(() => undefined)
      await latency()
      if (trouble === 'lost-request') {
        breakOff()
        return await connection.breaks.promise
      }
      if (trouble === 'stalled') {
        // The request is served now; its sender has given up before, or gets a late answer.
        await clock.wait(chance.integer(1, events.weather().requestTimeoutMs - 1))
      }
      if (events.week() !== week) return await connection.breaks.promise
      if (isBroken || process.isDead()) {
        if (!isDeliveredBehindBreak) return await connection.breaks.promise
        const { requestMsMax } = events.weather()
        if (requestMsMax > 0) await clock.wait(events.lateness.integer(0, requestMsMax))
        if (events.week() !== week) return await connection.breaks.promise
      }
      const spoils = trouble === 'error' && request.spoil !== undefined
      const answer = await (spoils ? request.spoil(chance) : request.serve())
      events.served(process, cluster.name, what)
      return answer
    }
    const arrived = arrive()
    connection.arrivals = arrived.then(
      () => undefined,
      () => undefined,
    )
    const before = connection.answers
    const answered = arrived.then(async answer => {
      await before
      await latency()
      if (trouble === 'lost-answer' || (await process.cross(`after ${cluster.name} ${what}`))) {
        events.lostAnswer()
        breakOff()
      }
      return answer
    })
    connection.answers = answered.then(
      () => undefined,
      () => undefined,
    )
    // A rejected answer that loses the race is handled here.
    answered.catch(() => undefined)
    if (trouble === 'stalled') {
      clock.wait(events.weather().requestTimeoutMs).then(() => {
        if (connections.get(to) === connection && chance.oneIn(2)) breakOff()
      })
    }
    try {
      return await Promise.race([connection.breaks.promise, answered])
    } finally {
      if (process.isDead() || process.isFrozen()) await process.clock.wait(0)
    }
  }

  /** A broker with slow remote storage answers offsets alone; one under a quota, nothing. */
  const fetchInWeather: Cluster['fetch'] = async (leaderId, request) => {
    const { emptyOneIn, throttledOneIn } = events.weather()
    const isInSession = request.session !== undefined
    if (throttledOneIn > 0 && !isInSession && chance.oneIn(throttledOneIn)) {
      const throttleTimeMs = chance.integer(1, THROTTLE_MS_MAX)
      events.say(`${cluster.name} throttles a fetch of ${process.name} for ${throttleTimeMs} ms`)
      return { errorCode: 0, sessionId: null, partitions: [], throttleTimeMs }
    }
    const answer = await cluster.fetch(leaderId, request)
    if (emptyOneIn === 0 || !chance.oneIn(emptyOneIn)) return answer
    events.say(`${cluster.name} answers a fetch of ${process.name} without records`)
    const isOne = chance.oneIn(2)
    const partitions = answer.partitions.map((each, index) =>
      isOne && index > 0 ? each : withoutRecordsOf(each),
    )
    return { ...answer, partitions }
  }

  return {
    name: cluster.name,
    describeTopics: names => ask('any', 'Metadata', { serve: () => cluster.describeTopics(names) }),
    listOffsets: (leaderId, point, partitions) =>
      ask(`${leaderId} control`, `ListOffsets ${point}`, {
        serve: () => cluster.listOffsets(leaderId, point, partitions),
      }),
    fetch: (leaderId, request) =>
      ask(`${leaderId} data`, 'Fetch', {
        serve: () => fetchInWeather(leaderId, request),
        spoil: async () => {
          return { errorCode: errorCode.UNKNOWN_SERVER_ERROR, sessionId: null, partitions: [] }
        },
      }),
    produce: (leaderId, asked) => {
      events.asks(process, 'Produce')
      const request = encoded(asked)
      return ask(`${leaderId} data`, 'Produce', {
        serve: () => cluster.produce(leaderId, request),
        spoil: async chance => {
          if (chance.oneIn(2)) return refuseProduce(request, chance.pick(refusals))
          const served = await cluster.produce(leaderId, request)
          const hidden: ErrorName = chance.pick(appendedRefusals)
          return {
            ...served,
            partitions: served.partitions.map(each =>
              each.errorCode === 0
                ? { ...each, errorCode: errorCode[hidden], baseOffset: null }
                : each,
            ),
          }
        },
      })
    },
    initProducerId: id => {
      events.asks(process, 'InitProducerId')
      return ask('coordinator', 'InitProducerId', {
        serve: () => cluster.initProducerId(id),
        spoil: async () => busy,
      })
    },
    writeAbortMarker: async request => {
      const { coordinator } = cluster
      events.asks(process, 'EndTxn')
      const added = await ask('coordinator', 'AddPartitionsToTxn', {
        serve: async () => coordinator.addPartition(request),
        spoil: async () => busy,
      })
      if (added.kind !== 'decided') return added
      return ask('coordinator', 'EndTxn', {
        serve: async () => {
          events.ends(process, request)
          return coordinator.endTxn(request)
        },
        spoil: async () => busy,
      })
    },
    writeTxnMarkers: (leaderId, request) => {
      events.asks(process, 'EndTxn')
      return ask(`${leaderId} data`, 'WriteTxnMarkers', {
        serve: () => cluster.writeTxnMarkers(leaderId, request),
      })
    },
    close: async () => undefined,
  }
}

/** A copy of the bytes as they were sent: later writes of the sender do not change them. */
function encoded(request: ProduceRequest): ProduceRequest {
  const topics = request.topics.map(topic => ({
    ...topic,
    partitions: topic.partitions.map(each => ({ ...each, records: Buffer.from(each.records) })),
  }))
  return { ...request, topics }
}
