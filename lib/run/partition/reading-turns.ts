// Owns how many partitions of a shard read both logs at once outside of the copying, and the memory
// that these readings hold: a crash leaves all partitions of a shard to be recovered at the same
// moment. The readings have a part of the buffer, which the fetch loops leave to them. Does not own
// what is read (run/recover).

import { recoveriesAtOnceMax } from '../../core/config/defaults.ts'

export type ReadingTurns = {
  /** How many readings are under way, 0 to `recoveriesAtOnceMax`. */
  readonly underWay: number
  /**
   * Does the work in its turn, first come, first served. null: the run ended before the turn came,
   * and the work was not begun.
   */
  take<T>(ended: AbortSignal, work: () => Promise<T>): Promise<T | null>
}

/** `onEnd` is called after each reading: its part of the buffer is free again. */
export function createReadingTurns(onEnd: () => void): ReadingTurns {
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
      // Ends: each pass waits for the end of a reading, or of the run.
      while (underWay >= recoveriesAtOnceMax && !ended.aborted) {
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
