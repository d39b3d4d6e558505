// What the applications of the fail-over drill wrote and read, as sets of event ids: how often an
// event reached the reading application, over all its lives on both clusters. Does not own the
// story (failover-story.ts).

export type Account = {
  /** Events whose write was acknowledged. */
  readonly written: number
  /** Events that were acknowledged and that no life of the reader has read. */
  readonly notRead: number
  /** Readings of an event that the reader had read before. */
  readonly readAgain: number
  /** Events that were read and that no writer sent: always 0. */
  readonly foreign: number
}

/** Events whose acknowledgement did not come may be read or not; they count as neither. */
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
