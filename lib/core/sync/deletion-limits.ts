// The fixed limits of deleting standby topics; docs/CONFIG.md lists them with those of
// core/config/defaults.ts, which says what a limit is. Does not own when one applies (deletion.ts,
// run/delete).

/** The standby topic of a deleted topic is kept so long, ms: a person may miss the topic. */
export const deletionKeptMs = 24 * 60 * 60 * 1000

/** Standby topics that one tick deletes: a person who sees it happen can stop it. */
export const deletedTopicsMax = 10

/** Committed offsets that a line and the JSON of `sync` name of a standby topic that is deleted. */
export const groupOffsetsNamedMax = 100
