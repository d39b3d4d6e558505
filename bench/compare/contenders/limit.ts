// The physical limit as a contender: what gapless is compared with to know how much of what is
// possible it reaches. Owns how the process is tuned; what it does is in limit-part.ts.

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

/** Its copies have as many records as the source, but only samples of them, repeated. */
export const limit: Contender = {
  name: contenderNames.limit,
  memoryMaxMb: null,
  async start(job) {
    if (job.follows) throw new Error('the limit is of a backlog; it follows nothing')
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
      // A process that is killed ends too early, which is what was wanted.
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
