// The physical limit as a contender: gapless is compared with it to know how close it comes to the
// possible. Owns the tuning and the start of the process; limit-part.ts is the process.

import { machineMs, startPart } from '../../part.ts'
import { contenderNames } from '../results/results.ts'
import { type Contender, copyOf } from './contender.ts'
import type { LimitOrder, LimitReport, Tuning } from './limit-part.ts'

export const limitTuning: Tuning = {
  fetchLinks: 1,
  produceLinks: 1,
  produceRequestsInFlight: 20,
  requestBatchesMax: 1_000,
  requestBytesMax: 4 * 2 ** 20,
  answerBytesMax: 4 * 2 ** 20,
  partitionBytesMax: 1 * 2 ** 20,
  aheadBytesMax: 32 * 2 ** 20,
}

/** A copy of the limit has as many records as the source, but they are samples, repeated. */
export const limit: Contender = {
  name: contenderNames.limit,
  memoryMaxMb: null,
  async start(job) {
    if (job.follows)
      throw new Error('the physical limit copies a backlog and cannot follow a topic')
    const order: LimitOrder = { ...job, copy: copyOf(job), tuning: limitTuning }
    const startedAtMs = machineMs()
    const part = startPart<LimitReport>('compare/contenders/limit-part.ts', order)
    let isKilled = false
    const watch = async (): Promise<never> => {
      for (;;) {
        const told = await part.nextReport()
        if (told.kind === 'failed') throw new Error(`${contenderNames.limit}: ${told.why}`)
      }
    }
    const failed = watch().catch(error => {
      // A killed part ends without a report, as intended.
      if (isKilled) return new Promise<never>(() => undefined)
      throw error
    })
    failed.catch(() => undefined)
    return {
      pid: part.pid,
      startedAtMs,
      failed,
      kill() {
        isKilled = true
        return part.kill()
      },
    }
  },
}
