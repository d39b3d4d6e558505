// The fixed limits of the padding of a target (padding.ts); docs/CONFIG.md lists them with those of
// core/config/defaults.ts, which says what a limit is. Does not own when one applies (run/pad).

/** Fewer offsets in front of a first record are filled by markers: 3 s, and never visible. */
export const paddingOffsetsMin = 1_000

/** More offsets in front shift: 25 minutes (`npm run bench:padding`), 4 GB that are deleted. */
export const paddingOffsetsMax = 5_000_000_000

/** Fillers in a batch: 764 kB with zstd, and below the default of max.message.bytes. */
export const paddingRecordsMax = 2 ** 20

/** Fillers in the smallest batch of a large padding; a topic that takes only less shifts. */
export const paddingRecordsMin = 2 ** 14

/** Batches of fillers in flight for one partition: one travels while the broker reads another. */
export const paddingInFlightMax = 2

/** Partitions of a run that are filled at once: each takes a thread of a broker. */
export const paddingsAtOnceMax = 2

/** Attempts to delete fillers while another owner sets the policy of the same topic back. */
export const paddingTrimsMax = 20

/** Wait before such an attempt, and between two looks at the log start, ms. */
export const paddingWaitMs = 250

/** A run looks so often, ms, whether fillers are visible: brokers store log starts as often. */
export const paddingLookMs = 60_000
