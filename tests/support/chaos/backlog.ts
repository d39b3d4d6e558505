// Lets producers be a bounded number of records ahead of the replicator: there are always records
// to copy, and never more than the test can read back at its end.

export type Backlog = {
  /** Waits until there is room, then counts all of `records`. False: the producers must end. */
  take(records: number): Promise<boolean>
  give(records: number): void
  /** Stops counting the records in flight, because the process that sent them died. */
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
      // A record that is acknowledged twice is subtracted twice.
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
