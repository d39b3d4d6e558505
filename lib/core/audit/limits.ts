// Owns the limits of an audit, each with its reason. Does not own those of the copying
// (config/defaults.ts).

const MIB = 2 ** 20

/** Partitions that are compared at once: brokers answer while the records of others are read. */
export const partitionsInFlightMax = 4

/**
 * Bytes of answers in memory, all partitions together: of each log one answer that is compared and
 * one that is on its way.
 */
export const answerBytesMax = 64 * MIB

/** Bytes of one answer. Beyond, a larger one saves no time. */
export const fetchBytesMax = 4 * MIB

/** How long a broker may hold a fetch, ms; it has records, or the range is at its end. */
export const fetchWaitMs = 500

/** Answers without a record, in front of the end, before the broker counts as not answering. */
export const emptyAnswersMax = 20

/** Attempts of one fetch: leaders move, brokers restart; half a minute with the waits between. */
export const attemptsMax = 8

/** Records without a counterpart that are remembered of one partition; 300 bytes each. */
export const unmatchedMax = 200_000

/** Differences that a report names, per partition; all are counted. */
export const namedDifferencesMax = 1_000

/** Parts of a sample: spread over the log, so that an old damage is found as well as a new one. */
export const samplePartsMax = 8

/** How often the state of an audit that can be resumed is stored, ms. */
export const stateEveryMs = 5_000
