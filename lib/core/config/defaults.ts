// Owns every number and every choice a configuration may leave out, each with its reason. A limit
// without an entry here is a bug: everything that can grow has a name.

/** What a person may choose about incidents. */
export type Policies = {
  /** Where a partition begins that was never seen before. */
  readonly startFrom: 'log-start' | 'log-end'
  readonly onTruncation: 'halt' | 'continue'
  readonly onReset: 'resume' | 'halt'
  readonly onDivergence: 'halt' | 'continue'
}

const KIB = 1024
const MIB = 1024 * KIB

export const policyDefaults: Policies = {
  // Disaster recovery wants what is there, not only what comes.
  startFrom: 'log-start',
  // Lost records are for a person to see before anything is built on top of the gap.
  onTruncation: 'halt',
  // The new generation of a topic is data that should reach the standby at
  // once; the old one cannot return.
  onReset: 'resume',
  // Standby and primary disagree about history: which one is right is for a person to say.
  onDivergence: 'halt',
}

export const clusterDefaults = {
  // Brokers on one machine rarely have TLS; every other cluster should be asked for it.
  tls: false,
} as const

export const flowDefaults = {
  // A topic is left out only where the configuration says so.
  exclude: [],
  // Flows in both directions cannot form a circle, and the name says where a record comes from.
  naming: 'prefix',
  // An idle flow costs next to nothing; its latency is the minute of the schedule.
  mode: 'batch',
} as const

export type Budgets = {
  readonly leaseMs: number
  readonly checkpointIntervalMs: number
  readonly requestTimeoutMs: number
  readonly reserveMs: number
  readonly fetchWaitMs: number
  readonly fetchBytesMax: number
  readonly partitionFetchBytesMax: number
  readonly bufferBytesMax: number
  readonly shardPartitionsMax: number
  readonly workersMax: number
}

export const budgetDefaults: Budgets = {
  // A crash costs at most this long; longer than a produce may take, so a live
  // owner always renews in time.
  leaseMs: 20_000,
  // Four chances to renew within a lease, and at most five seconds of records
  // copied twice after a crash.
  checkpointIntervalMs: 5_000,
  // Shorter than the lease; brokers answer in milliseconds, a stalled one
  // must not eat the invocation.
  requestTimeoutMs: 15_000,
  // Kept back at the end of an invocation: outstanding acknowledgements, one
  // checkpoint write, the report.
  reserveMs: 10_000,
  // How long the broker may hold a fetch that finds nothing (Kafka's own fetch.max.wait.ms).
  fetchWaitMs: 500,
  // One answer of the source: some 40 ms of it at 100 MB/s, so fetching
  // never waits for the network.
  fetchBytesMax: 4 * MIB,
  // The same, so that one lone partition runs at full speed; those that are behind
  // share an answer, and take turns at being first in it.
  partitionFetchBytesMax: 4 * MIB,
  // Fetched and not yet acknowledged. One answer on its way out, one waiting, one coming in.
  bufferBytesMax: 12 * MIB,
  // One worker's partitions: its invocation payload stays small and its start stays fast.
  shardPartitionsMax: 200,
  // Bounds the bill, and the load on the primary, whatever falls due at once.
  workersMax: 10,
}

/** Produce requests in flight per broker however small: what a broker remembers (KAFKA-5494). */
export const eagerRequestsMax = 5

/** Produce requests in flight per broker when each is worth it: 10 MB/s at a distance of 80 ms. */
export const inFlightRequestsMax = 50

/** Bytes from which on a Produce request is worth being one more in flight. */
export const worthwhileRequestBytes = 8 * KIB

/** Batches that fit into the least that a Fetch asks for: half a one comes for nothing. */
export const shareBatchesMin = 8

/** Attempts to observe a partition again after a refused fetch or produce; then its run ends. */
export const observationAttemptsMax = 6

/** Wait before the second such attempt, doubling each time: 100 ms to 1.6 s, 3 s in all. */
export const retryBackoffMs = 100

/** A tick looks again, for so many ms, at what did not answer: a leader that moves does soon. */
export const lookAgainMsMax = 2_000

/** How often a run that follows looks for a topic that is gone, ms. */
export const returnPollMs = 500

/** For how long it does, ms; after that it gives the lease back, and every tick looks. */
export const returnAwaitedMsMax = 60_000

/** A day, ms: then a partition renews its producer, which brokers forget after a week. */
export const producerAgeMsMax = 24 * 60 * 60 * 1000

/** Bytes of batches in one Produce request: far below socket.request.max.bytes (100 MiB). */
export const produceBytesMax = 4 * MIB

/** Batches below this, bytes, are joined: a request costs more than opening them. */
export const smallBatchBytesMax = 4 * KIB

/** The most that small batches are joined to, bytes: below any limit a target would set. */
export const coalescedBytesMax = 64 * KIB

/** The most that they may hold when they are decompressed, bytes; else they stay apart. */
export const coalescedContentBytesMax = MIB

/** Conditional writes under way at once: the SDK keeps 50 sockets, and a burst helps nobody. */
export const tableWritesInFlightMax = 32

/** From invoking a successor to the deadline: a cold start, first connections, a producer id. */
export const handOverLeadMs = 5_000

/** How often a successor asks for a lease about to be released: a fifth of the gap allowed. */
export const handOverPollMs = 200

/** A successor's patience: the lead and a lease, so that it also takes over from a crash. */
export const handOverWaitMsMax = 30_000

/** How often a worker says in metrics how far it is, ms: alarms look at a minute. */
export const metricsIntervalMs = 10_000

/** Behind by less, ms, is on its way: a schedule of a minute does no better. */
export const behindMsMin = 60_000

/** A partition with records to copy is at work: nobody touched it for so long, ms, is a stall. */
export const stalledAfterMs = 5 * 60_000

/** First batches that a tick of the auditor reads to know their age; the longest silent first. */
export const oldestReadsMax = 256

/** Requests of the auditor under way at once, per flow. */
export const oldestReadsInFlightMax = 8

/** Topics that are behind and have metrics of their own: each costs money. The worst ones. */
export const measuredTopicsMax = 10

/** Incidents in one notification: far below the 256 KB that SNS takes. */
export const notifiedIncidentsMax = 50

/** Notifications of a flow in one tick; the next tick goes on. */
export const notificationsMax = 10

/** Leader epochs a checkpoint remembers: its row stays below 1 KB, one unit of a write. */
export const epochHistoryMax = 16

/** Source offsets in front of a divergence that are looked for on the standby, by contents. */
export const divergenceWindowOffsets = 1_000

/** Fetches of the standby to find where a divergence begins there; then only a bound is named. */
export const divergenceFetchesMax = 64
