// Owns the account of a fail-over drill: what applications wrote and what was read, as sets of
// record ids. How often a record was read, over all lives of the reader on both clusters, or in one
// log. Pure. Does not own who wrote and read (run/drill, localstack/drills).

export type Account = {
  /** Records whose write was acknowledged. */
  readonly written: number
  /** Records that were acknowledged and that were not read. */
  readonly notRead: number
  /** Readings of a record that had been read before. */
  readonly readAgain: number
  /** Records that were read and that no writer of the drill sent. */
  readonly foreign: number
}

/** Records whose acknowledgement did not come may be read or not; they count as neither. */
export function accountOf(input: {
  readonly acknowledged: readonly (readonly string[])[]
  readonly unknown: readonly (readonly string[])[]
  readonly read: readonly (readonly string[])[]
}): Account {
  const written = new Set(input.acknowledged.flat())
  const sent = new Set([...written, ...input.unknown.flat()])
  const readings = input.read.flat()
  const read = new Set(readings)
  return {
    written: written.size,
    notRead: [...written].filter(each => !read.has(each)).length,
    readAgain: readings.length - read.size,
    foreign: [...read].filter(each => !sent.has(each)).length,
  }
}
