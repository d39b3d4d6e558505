// Owns what answers without records prove. An answer that brings nothing says nothing: a broker
// answers so while its remote storage is slow (DelayedRemoteFetch.onExpiration), while a quota of
// remote reads is used up (ReplicaManager.handleOffsetOutOfRangeError), and where its high
// watermark is known without a position in the file (LocalLog.read). The end of a log is a position
// at the last stable offset that the very answer reports. Below it, a bounded number of patient
// fetches asks again. Does not own the requests (run/compare/partition-reader.ts,
// run/replicate/fetch-loop.ts).
//
// A log may end in offsets without a batch, and then no fetch ever reaches its end: before Kafka
// 4.0 the cleaner (Cleaner, LogCleanerManager.cleanableOffsets) could remove every batch below the
// last stable offset of an open transaction. A broker holds such a fetch for as long as it may
// (DelayedFetch), so an answer that came earlier is no sign of such a log.

import {
  type Budgets,
  emptyAnswersMax,
  patientFetchBytes,
  patientWaitMs,
  patientWaitMsMax,
} from '../config/defaults.ts'
import { backoffMs } from './budget.ts'

/** The answers in a row that brought nothing at one position below the end of its log. */
export type Patience = {
  readonly emptyAnswers: number
  /** Whether the broker held the last one for as long as it might. */
  readonly wasHeld: boolean
}

/** Before the first fetch at a position. */
export const untried: Patience = { emptyAnswers: 0, wasHeld: false }

/** The wait and the limit of a fetch. */
type Asking = { readonly waitMs: number; readonly bytesMax: number }

/** The next fetch at a position: the first one as it is, every further one more patient. */
export function patientFetch(
  { emptyAnswers }: Patience,
  first: Asking,
  { requestTimeoutMs }: Pick<Budgets, 'requestTimeoutMs'>,
): Asking {
  if (emptyAnswers === 0) return first
  const waitMs = Math.min(backoffMs(emptyAnswers - 1, patientWaitMs), patientWaitMsMax)
  return {
    // The answer must come before the request counts as lost.
    waitMs: Math.max(first.waitMs, Math.min(waitMs, requestTimeoutMs / 2)),
    bytesMax: Math.max(first.bytesMax, patientFetchBytes),
  }
}

/** After one more answer without records. Times in ms. */
export function emptyAgain(
  { emptyAnswers }: Patience,
  answer: { readonly tookMs: number; readonly waitMs: number },
): Patience {
  const { tookMs, waitMs } = answer
  return { emptyAnswers: emptyAnswers + 1, wasHeld: waitMs > 0 && tookMs >= waitMs }
}

/** True when no further fetch is made: a held fetch met the end, another one did not. */
export function isExhausted({ emptyAnswers }: Patience): boolean {
  return emptyAnswers > emptyAnswersMax
}
