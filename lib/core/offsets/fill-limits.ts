// The fixed limits of filling offsets of a target (fill-pace.ts); docs/CONFIG.md lists them with
// those of core/config/defaults.ts, which says what a limit is. Does not own `fillPlacesMax`.

/** Filled offsets before their pace says anything of what follows. */
export const fillSampleMin = 500

/** The log of a source is watched for so long, ms, before its growth says anything. */
export const growthSampleMs = 30_000

/**
 * Seconds of filling that a backlog may need where the source makes holes faster than they are
 * filled: it would only grow, and records of so many seconds be missing after a fail-over.
 */
export const outrunSecondsMax = 300

/** Looks at the target's log end until the marker of a filler is in it, 1 ms apart at first. */
export const fillerLooksMax = 1_000

/** Wait between two such looks, ms, once the first eight have not seen the marker. */
export const fillerLookMs = 5

/** Fetches of one such look where others append around the marker: the next look goes on there. */
export const fillerFetchesMax = 8

/**
 * Markers in one WriteTxnMarkers request: 500 take some 10 ms, and 5,000 hold a request thread of
 * the broker for up to a third of a second.
 */
export const markersPerRequestMax = 500
