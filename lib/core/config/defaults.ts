// Owns the default of every key that a configuration may leave out, and every fixed limit, each
// with its reason; docs/CONFIG.md prints the reasons. A limit without an entry here is a bug:
// everything that can grow has a named bound.

/** The choices of a flow about where to start and how to handle incidents. */
export type Policies = {
  /** Where a partition without a checkpoint starts. */
  readonly startFrom: 'log-start' | 'log-end'
  /** Whether records keep their offsets on the standby. */
  readonly offsets: 'preserve' | 'translate'
  readonly onTruncation: 'halt' | 'continue'
  readonly onReset: 'resume' | 'halt' | 'recreate'
  readonly onDivergence: 'halt' | 'continue'
}

const KIB = 1024
const MIB = 1024 * KIB

export const policyDefaults: Policies = {
  // Disaster recovery needs the existing records, not only new ones.
  startFrom: 'log-start',
  // Consumers, and whatever keeps offsets outside of Kafka, then move with the offsets they have.
  offsets: 'preserve',
  // An operator should see that records are lost before new ones are appended behind the gap.
  onTruncation: 'halt',
  // The records of the recreated topic should reach the standby at once; the deleted topic cannot
  // return.
  onReset: 'resume',
  // Source and standby hold different records: an operator decides which ones are right.
  onDivergence: 'halt',
}

export const clusterDefaults = {
  // Brokers on one machine rarely have TLS; every other cluster should be asked for it.
  tls: false,
} as const

export const flowDefaults = {
  // A quarter of a year, for reviews; an open incident is kept for as long as it is open.
  incidentsKeptDays: 90,
  // A topic is left out only where the configuration says so.
  exclude: [],
  // A fail-over needs every group of an application.
  groups: ['/.*/'],
  // As in MirrorMaker 2 (MirrorCheckpointConfig): groups of tools and of Kafka Connect stay.
  excludeGroups: ['/console-consumer-.*/', '/connect-.*/', '/__.*/'],
  // Flows in both directions cannot form a circle, and the name says where a record comes from.
  naming: 'prefix',
  // An idle flow costs next to nothing; its latency is the minute of the schedule.
  mode: 'batch',
  // A right that reaches into every topic is used by an explicit choice alone.
  fillers: 'transactions',
} as const

export const syncDefaults = {
  // A setting that differs loses records or refuses them, and nobody looks before a fail-over.
  configs: 'follow',
  // The table is right for nearly every topic.
  includeConfigs: [],
  // The same.
  excludeConfigs: [],
  // The standby then keeps records as long as the source, whatever its brokers are set to.
  useDefaults: 'source',
  // A deleted standby topic is the last copy.
  deletions: 'report',
  // Rights are changed only where an operator asked for it.
  acls: 'off',
  // The source may be read-only, and the metrics of lag need no record.
  heartbeats: 'off',
} as const

export type Budgets = {
  readonly leaseMs: number
  readonly workerLeaseMs: number
  readonly checkpointIntervalMs: number
  readonly requestTimeoutMs: number
  readonly reserveMs: number
  readonly fillSecondsMax: number
  readonly fetchWaitMs: number
  readonly fetchBytesMax: number
  readonly partitionFetchBytesMax: number
  readonly bufferBytesMax: number
  readonly shardPartitionsMax: number
  readonly workersMax: number
}

export const budgetDefaults: Budgets = {
  // A crash costs at most this long. Longer than a Produce request may take, so that a live owner
  // always renews its lease in time.
  leaseMs: 20_000,
  // A crash costs about this long until another worker goes on. Renewed every 2 s. The fence, not
  // the clock, makes a worker harmless that went on, so it may be shorter than a request.
  workerLeaseMs: 6_000,
  // Four chances to renew within a lease, and at most five seconds of records to copy again after a
  // crash.
  checkpointIntervalMs: 5_000,
  // Shorter than the lease. Brokers answer in milliseconds, and a stalled one must not use up the
  // time of the invocation.
  requestTimeoutMs: 15_000,
  // Time for outstanding acknowledgements, one checkpoint write and the report.
  reserveMs: 10_000,
  // A first copy may take that much longer for equal offsets; a flow that follows must not lag.
  fillSecondsMax: 1_800,
  // The default of fetch.max.wait.ms in Kafka's consumer.
  fetchWaitMs: 500,
  // About 40 ms of data at 100 MB/s, so that fetching never waits for the network.
  fetchBytesMax: 4 * MIB,
  // As much as the whole response, so that a single partition runs at full speed. Partitions that
  // lag at the same time share a response and take turns at being first in it.
  partitionFetchBytesMax: 4 * MIB,
  // Three Fetch responses: one being produced, one waiting, one being received.
  bufferBytesMax: 12 * MIB,
  // Keeps the payload of an invocation small and the start of a worker fast.
  shardPartitionsMax: 200,
  // Bounds the bill and the load on the source when all partitions have work at once.
  workersMax: 10,
}

/** How far, ms, another clock may be ahead: a lease dated further ahead counts as expired. */
export const clockSkewMsMax = 30_000

/** Renewals of a worker's lease while it lasts: two may fail before another worker goes on. */
export const workerRenewalsPerLease = 3

/** Until a worker that `plan` reserved has begun, ms: retries of its invocation, a cold start. */
export const workerStartMsMax = 30_000

/** Partitions that `plan` has given to a running worker and it has not taken: a row of 8 KB. */
export const assignedPartitionsMax = 100

/** Workers that one write reserves: DynamoDB's transactions have 100 items, one is the roster. */
export const reservedWorkersMax = 99

/** For how long, ms, the row of a worker that has ended is kept: a person may look for it. */
export const endedWorkersKeptMs = 60 * 60_000

/** Rows of ended workers that a tick deletes, and that it declares ended before that. */
export const sweptWorkersMax = 25

/** Workers that a store remembers as ended, so that it looks at each row once. */
export const endedWorkersRemembered = 1_000

/** For how long, ms, a store goes by its last look at a live worker: successors ask at 200 ms. */
export const liveWorkerRememberedMs = 1_000

/** Attempts to take a partition whose row another owner changes at the same time. */
export const acquireAttemptsMax = 3

/** A worker that lived so long, ms, is replaced at once when it fails; others by the schedule. */
export const crashNoticeMinMs = 30_000

/** Characters of a topic pattern: four times the longest topic name. */
export const patternCharactersMax = 1_000

/** Instructions of a compiled topic pattern: matching takes up to so many steps a character. */
export const patternStepsMax = 1_000

/** Topics that one line of `status` names as left out; the JSON has all of them. */
export const leftOutNamesMax = 5

/** Produce requests in flight per broker, of any size: batches a broker remembers (KAFKA-5494). */
export const eagerRequestsMax = 5

/** Large Produce requests in flight per broker: 10 MB/s at a round trip of 80 ms. */
export const inFlightRequestsMax = 50

/** Bytes from which on a Produce request counts as large. */
export const worthwhileRequestBytes = 8 * KIB

/** Batches in the smallest share of a Fetch: the batch that is cut off at its end is wasted. */
export const shareBatchesMin = 8

/** A Fetch waits so long, ms, for idle partitions while others of the broker wait for room. */
export const crowdedFetchWaitMs = 20

/** After so many times `fetchWaitMs` without an answer, a Fetch keeps no room on the target. */
export const lateFetchWaits = 2

/** Attempts to observe a partition again after a refused Fetch or Produce; then its run ends. */
export const observationAttemptsMax = 6

/** Answers in a row that may bring no record below a log's end: 16 s of the waits below. */
export const emptyAnswersMax = 6

/** Wait of the first patient fetch, ms, doubling each time: remote.fetch.max.wait.ms of brokers. */
export const patientWaitMs = 500

/** The longest wait of a patient fetch, ms: records behind it on the connection wait as well. */
export const patientWaitMsMax = 4_000

/** The smallest limit of a patient fetch, bytes: more than the first batch, as brokers default. */
export const patientFetchBytes = MIB

/** For how long, ms, one reading bears a throttling broker: three windows of a default quota. */
export const throttledMsMax = 30_000

/** Fetches of a damaged batch before the partition halts: a damage on the way does not repeat. */
export const damagedFetchesMax = 3

/**
 * Offsets of one hole that are filled on the target so that offsets stay equal: a minute at the 300
 * fillers a second of a single partition (`npm run bench:offsets`). A larger hole shifts them.
 */
export const fillPlacesMax = 20_000

/** Log lines of one partition and run about shifts of its offsets; the metric counts all. */
export const shiftLinesMax = 8

/** Wait before the second such attempt, doubling each time: 100 ms to 1.6 s, 3 s in all. */
export const retryBackoffMs = 100

/** For how long, ms, a tick retries partitions that did not answer: leader elections are short. */
export const lookAgainMsMax = 2_000

/** Until a connection is open, ms, its TLS handshake included; a close broker needs a few. */
export const connectMsMax = 5_000

/** Answer to a request without batches, ms, also where `requestTimeoutMs` is longer. */
export const controlRequestMsMax = 15_000

/** The next broker is asked beside one that has not answered for so long, ms (RFC 8305). */
export const nextBrokerMs = 500

/** Until any broker of a cluster has answered, ms: one connection and one request. */
export const anyBrokerMsMax = 20_000

/** The same where no broker answered lately, ms: a tick asks a cluster several times. */
export const silentClusterMsMax = 5_000

/** A broker that did not answer is asked after the others for so long, ms: a tick. */
export const silentBrokerMs = 60_000

/** Time of `plan` and `watch` for all flows, ms: they end before the next tick begins. */
export const tickMsMax = 50_000

/** Flows that are observed at the same time: each has two clusters with a few connections. */
export const flowsInFlightMax = 32

/** Flows that `run --once` copies at the same time: each has a buffer of its own. */
export const flowRunsInFlightMax = 4

/** Standby topics that are created or widened at the same time, per flow. */
export const topicChangesInFlightMax = 8

/** How often a continuous run looks for a deleted topic, ms. */
export const returnPollMs = 500

/** For how long, ms, a continuous run looks for the topic; then its lease is free for `plan`. */
export const returnAwaitedMsMax = 60_000

/** A day, ms: a partition then renews its producer id, which brokers forget after a week. */
export const producerAgeMsMax = 24 * 60 * 60 * 1000

/** Bytes of batches in one Produce request: far below socket.request.max.bytes (100 MiB). */
export const produceBytesMax = 4 * MIB

/** Batches below this, bytes, are coalesced: a Produce request costs more than repacking them. */
export const smallBatchBytesMax = 4 * KIB

/** The largest coalesced batch, bytes: below any max.message.bytes that a standby would set. */
export const coalescedBytesMax = 64 * KIB

/** The largest coalesced batch when decompressed, bytes; more stays in separate batches. */
export const coalescedContentBytesMax = MIB

/** Attempts of a request to the table that conflicts with a transaction, the first included. */
export const conflictAttemptsMax = 6

/** Wait, ms, before the second of them, doubling each time, up to twice as long by chance. */
export const conflictBackoffMs = 20

/** Concurrent conditional writes: the SDK keeps 50 sockets, and a larger burst is no faster. */
export const tableWritesInFlightMax = 32

/** From invoking a successor to the deadline, ms: its cold start, connections and producer id. */
export const handOverLeadMs = 5_000

/** How long, ms, a worker waits for an invocation to be accepted: it ends within `reserveMs`. */
export const invocationAcceptedMsMax = 5_000

/** How long, ms, a worker waits for the row of its successor: the lead is for the cold start. */
export const successorReservedMsMax = 1_000

/** How often a worker of continuous mode looks at the other workers, ms: as often as they renew. */
export const peersLookMs = 2_000

/** How often a successor asks for the lease, ms: a fifth of the gap that a hand-over may take. */
export const handOverPollMs = 200

/** How long a successor asks, ms: the lead and a lease, so that it outlasts a crashed owner. */
export const handOverWaitMsMax = 30_000

/** How often a worker emits its metrics, ms: alarms look at periods of a minute. */
export const metricsIntervalMs = 10_000

/** A shorter lag, ms, is normal: a schedule of a minute cannot do better. */
export const behindMsMin = 60_000

/** A partition with records to copy that no worker checkpointed for so long, ms, is stalled. */
export const stalledAfterMs = 5 * 60_000

/** How far, ms, a timestamp may be ahead of our clock and still be an age: the skew of clocks. */
export const timestampSkewMsMax = 60_000

/** A timestamp that is older, ms, than this day when gapless first looks is event time, no age. */
export const backlogAgeMsMax = 24 * 60 * 60 * 1000

/** Log ends of the source in a checkpoint, with the time each was seen: its row stays small. */
export const logEndMarksMax = 6

/** A checkpoint gets another log end so often, ms: finer than any threshold on an age. */
export const logEndMarkIntervalMs = 10_000

/** Share of retention.bytes from which a short lag is a danger: less is usual for small topics. */
export const bytesBehindShareMax = 0.5

/** Batches that a tick of watch reads for their age, the partition copied longest ago first. */
export const oldestReadsMax = 256

/** Concurrent requests of watch for these batches, per flow. */
export const oldestReadsInFlightMax = 8

/** Age of a hung transaction, ms: 5 minutes above the default of transaction.max.timeout.ms. */
export const hungTransactionMsMin = 20 * 60_000

/** Partitions with an open transaction that a tick of watch asks about. */
export const hungReadsMax = 32

/** Record time counts as age only in a log whose newest record is dated so near our clock, ms. */
export const recordTimeSkewMsMax = 10 * 60_000

/** Lagging topics with metrics of their own, the worst first: each metric costs money. */
export const measuredTopicsMax = 10

/** Incidents in one notification: far below the 256 KB that SNS takes. */
export const notifiedIncidentsMax = 50

/** Notifications of a flow in one tick; the next tick sends the others. */
export const notificationsMax = 10

/** Attempts to end an incident whose row another process changes at the same time. */
export const incidentWriteAttemptsMax = 5

/** Rows of ended incidents of an earlier version that a tick moves to the history. */
export const movedIncidentsMax = 25

/** Incidents that `gapless incidents` shows without --limit, the newest ones. */
export const shownIncidentsMax = 200

/** Partitions that the incident of an outage names; others are named as these are copied again. */
export const stoppedPartitionsMax = 32

/** Partitions of a shard that are recovered at once: after a crash it is all of them. */
export const recoveriesAtOnceMax = 4

/** The part of the buffer, one in so many, for all recoveries: copying goes on in the others. */
export const recoveryBufferParts = 2

/** Fetches that look for records of ours behind a clean hand-over; more is a recovery. */
export const foreignFetchesMax = 64

/** Leader epochs in a checkpoint: its row stays below 1 KB, one write unit of DynamoDB. */
export const epochHistoryMax = 16

/** An unchanged offset is committed again so often, ms: it expires after a day or more. */
export const groupRefreshMs = 12 * 60 * 60 * 1000

/** Attempts of a request to a group coordinator that moves or loads: 3 s with the waits between. */
export const groupAttemptsMax = 5

/** Wait before the second of them, ms, longer by as much each time. */
export const groupRetryMs = 300

/** Groups of one FindCoordinator or OffsetFetch request: its response has some MB at the most. */
export const groupsPerRequestMax = 250

/** Groups that are stored and committed at the same time: enough to hide the round trips. */
export const groupsInFlightMax = 32

/** Partitions whose offsets are translated at the same time: each may hold a fetched response. */
export const translationsInFlightMax = 8

/** Offsets of a group and partition that count as ours: one that is there, two on their way. */
export const ownOffsetsMax = 3

/** A commit begins within this time of the look before it, ms, or the next tick does it. */
export const groupCommitMsMax = 30_000

/** A row whose commit was not seen is left to its writer for so long, ms: until that has ended. */
export const groupClaimMs = 45_000

/** Bytes of a group id that can be the key of a row: DynamoDB takes 1,024, prefix included. */
export const groupIdBytesMax = 1_000

/** Bytes of a group's offsets in its row: DynamoDB takes 400 KB of a row in all. */
export const groupRowBytesMax = 350_000

/** Days after which the row of a group goes that is not synced any more; refreshed twice a day. */
export const groupRowDays = 30

/** Lines about groups that one tick logs for a flow; what is more is counted. */
export const groupLinesMax = 20

/** Fetches of each log for one translation; a place that needs more is bounded, not found. */
export const translationFetchesMax = 16

/** Limit of such a fetch, bytes, whatever a flow copies with: four of them between anchors. */
export const translationFetchBytes = 4 * MIB

/** Anchors of a partition: 8 KB, and with doubling distances a month lies between a few dozen. */
export const anchorsMax = 512

/** Source offsets between two anchors of a log with holes: read in one fetch or two. */
export const anchorSpacingOffsets = 5_000

/** Bytes copied between two such anchors at the most: a quarter of what a translation may read. */
export const anchorSpacingBytes = 16 * MIB

/** Anchors are stored so often, ms, beside the last write of a run: a log with holes has many. */
export const anchorFlushMs = 30_000

/** Source offsets before a divergence whose records are searched on the standby, by contents. */
export const divergenceWindowOffsets = 1_000

/** Fetches that search the standby for a divergence; after that, only a bound of it is known. */
export const divergenceFetchesMax = 64

/** Topics in one DescribeConfigs request: some 20 configs each keep the answer below a megabyte. */
export const describedTopicsMax = 500

/** Topics in one IncrementalAlterConfigs request: each is a record of the controller's log. */
export const alteredTopicsMax = 100

/** Lines of a flow that a process remembers as said: more than a tick of sync can have. */
export const newsMax = 100

/** Offsets at the end of a topic that are searched for heartbeats: hours of several flows. */
export const heartbeatsReadMax = 1_000

/** Fetches of such a search. */
export const heartbeatFetchesMax = 16

/** Topics of heartbeats that a tick reads: one for each way from another cluster. */
export const heartbeatPathsMax = 10

/** Users and quotas that one sentence names; what is more is counted. */
export const notCopiedNamesMax = 10

/** ACLs in one CreateAcls or DeleteAcls request: each is a record of the controller's log. */
export const aclsInRequestMax = 100

/** Looks at whether gapless may still write after the first ACL, before that ACL is removed. */
export const aclLooksMax = 20

/** Wait before the next of them, ms: brokers hear of an ACL within some ms. */
export const aclLookMs = 100

/** Sentences of one step of sync that a tick logs for a flow; what is more is counted. */
export const syncTextsMax = 20

/** Sentences about lossy settings that a tick logs for a flow; what is more is counted. */
export const lossySettingsSaidMax = 20

/** Configs that a standby may refuse one by one; then only those that keep records are tried. */
export const refusedConfigsMax = 8

/** How far a clock of a broker may be from ours, ms, when an age is compared with a retention. */
export const brokerClockSkewMsMax = 5 * 60_000

/** Partitions of a flow whose standby a tick searches for lost records, the largest loss first. */
export const standbyLossesReadMax = 64

/** Concurrent searches for lost records, per flow. */
export const standbyLossReadsInFlightMax = 8

/** Source offsets around the counted end of a loss where its exact end is searched. */
export const standbyLossWindowOffsets = 1_000

/** Fetches in one such search, on each side; after that, only bounds are known. */
export const standbyLossFetchesMax = 8
