// Lets producers be ahead of the replicator by so many records and no more: there is always
// something to copy, and never more than the end can read back.

export type Backlog = {
  /** Waits for room, then takes it, even if it is more. False: the producers shall end. */
  take(records: number): Promise<boolean>
  give(records: number): void
  /** What was on its way with a process that died is not counted any more. */
  forget(): void
  close(): void
}

export function createBacklog(recordsMax: number): Backlog {
  let outstanding = 0
  let closed = false
  let changed = Promise.withResolvers<void>()
  const wake = () => {
    changed.resolve()
    changed = Promise.withResolvers<void>()
  }
  return {
    take: async records => {
      while (!closed && outstanding >= recordsMax) await changed.promise
      outstanding += records
      return !closed
    },
    give: records => {
      // Records that come twice are given back twice.
      outstanding = Math.max(outstanding - records, 0)
      wake()
    },
    forget: () => {
      outstanding = 0
      wake()
    },
    close: () => {
      closed = true
      wake()
    },
  }
}
