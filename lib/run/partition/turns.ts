// Owns how many partitions of a run do the same work at once, first come, first served: reading
// both logs in a recovery, because a crash leaves all partitions of a shard to be recovered at the
// same moment, and writing to the table behind a look at the logs. Does not own the work.

/** Turns of one kind of work. */
export type Turns = {
  /** How many works are under way, 0 to the maximum. */
  readonly underWay: number
  /**
   * Does the work in its turn, first come, first served. null: the run ended before the turn came,
   * and the work was not begun.
   */
  take<T>(ended: AbortSignal, work: () => Promise<T>): Promise<T | null>
}

/** `onEnd` is called after each work. */
export function createTurns(atOnceMax: number, onEnd: () => void): Turns {
  const waiting: (() => void)[] = []
  let underWay = 0
  const leave = () => {
    underWay -= 1
    waiting.shift()?.()
    onEnd()
  }
  return {
    get underWay() {
      return underWay
    },
    async take(ended, work) {
      // Ends: each pass waits for the end of a work, or of the run.
      while (underWay >= atOnceMax && !ended.aborted) {
        const turn = Promise.withResolvers<void>()
        const giveUp = () => turn.resolve()
        waiting.push(turn.resolve)
        ended.addEventListener('abort', giveUp, { once: true })
        await turn.promise
        ended.removeEventListener('abort', giveUp)
      }
      if (ended.aborted) return null
      underWay += 1
      try {
        return await work()
      } finally {
        leave()
      }
    },
  }
}
