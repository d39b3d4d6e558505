// The fixed limits of a fail-over and of the way back; docs/CONFIG.md lists them with those of
// defaults.ts, which says what a limit is. Does not own when a limit applies (run/failover).

/** Between the two looks that show whether the source grows: ten sends of a slow producer. */
export const quietLookMs = 1_000

/** A command that carries out a fail-over says so often that one which was killed is known soon. */
export const driverLeaseMs = 5_000

/** A worker that was declared ended notices at its next renewal, and flushes what is in flight. */
export const orderlyEndMsMax = 4_000

/** How often it is looked whether the workers have released their partitions. */
export const orderlyEndLookMs = 200

/** A listing shows all workers; only one that began since the last listing needs another. */
export const workerEndLooksMax = 10

/** Ten requests for each: 100 partitions take seconds, and a coordinator is not flooded. */
export const fencesInFlightMax = 32

/** An unplanned fail-over copies what a failing source still answers for so long. */
export const unplannedDrainMsMax = 30_000

/** The last records of both logs that a planned fail-over compares, per partition. */
export const comparedTailOffsets = 64n

/** Readings of two tails at once, each with one response in memory. */
export const tailsInFlightMax = 8

/**
 * The last sync of a planned fail-over waits so long for groups: members that ended without leaving
 * count for 45 s (session.timeout.ms), and as long a group is left to another tick.
 */
export const lastSyncMsMax = 60_000

/** How often it looks meanwhile. */
export const lastSyncLookMs = 2_000

/** Steps of one command, those of a way back too: more mean that something is wrong. */
export const failoverStepsMax = 20

/** Records of one Produce request that writes divergent records into a topic. */
export const exportBatchRecords = 1_000

/** Bytes of such a request, unless one record alone is larger. */
export const exportBatchBytes = 512 * 1024

/** The largest record that such a topic takes: Kafka's default limit of a whole request. */
export const exportedRecordBytesMax = 100 * 1024 * 1024

/** Offsets of a tail that are read at once for a fail-back: their records are in memory. */
export const tailWindowOffsets = 1_000n

/** A drill that was killed counts as ended so long after it last said that it lives. */
export const drillAliveMs = 15_000

/** Records of one batch that a drill writes: some 30 KB, far below what a broker takes. */
export const drillBatchRecordsMax = 500
