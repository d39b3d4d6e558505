// Owns the batches of one partition that were fetched and are not acknowledged: their order, which
// are in flight, which were sent before, how many bytes they have, and whether the target may hold
// one of them. Does not own when a batch is sent or acknowledged (run/produce/produce-loop.ts).

import { assert } from '../../core/assert.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import type { CountedBuffer } from './counted-buffer.ts'

export type PendingBatch = CopiedBatch & {
  readonly bytes: Buffer
  /** The memory of the Fetch response that the batch lies in. */
  readonly memory?: CountedBuffer
}

export type PendingQueue = ReturnType<typeof createPendingQueue>

/** Fetched batches in order: first those in flight, then those not yet sent. */
export function createPendingQueue() {
  let batches: PendingBatch[] = []
  let head = 0
  let inFlight = 0
  let inFlightBytes = 0
  // How many batches, from the first on, were ever sent: after a rewind more than `inFlight`.
  let sent = 0
  let bytes = 0
  // Produce requests that were sent and not answered yet, those of dropped batches included.
  let unanswered = 0
  // True once an answer was lost, or did not say whether the batch was appended.
  let outcomeUnknown = false
  const compact = () => {
    // Removing each acknowledged batch at once would move the whole array every time. At most half
    // of the array is acknowledged batches, because each of them keeps its bytes.
    if (head * 2 < batches.length) return
    batches = batches.slice(head)
    head = 0
  }
  return {
    get length() {
      return batches.length - head
    },
    get inFlight() {
      return inFlight
    },
    get bytes() {
      return bytes
    },
    get unsentBytes() {
      return bytes - inFlightBytes
    },
    /** Produce requests of this partition that were sent and not answered yet. */
    get unanswered() {
      return unanswered
    },
    /** True when the target may hold a batch that was never acknowledged. */
    get mayBeOnTarget() {
      return unanswered > 0 || outcomeUnknown
    },
    /** True when every batch was acknowledged or dropped, and every request answered. */
    isFlushed: () => batches.length === head && unanswered === 0,
    hasUnsent: () => batches.length - head > inFlight,
    push(batch: PendingBatch) {
      batches.push(batch)
      bytes += batch.bytes.length
    },
    /**
     * The last batch, so that skipped offsets behind it can be added to it; undefined when empty.
     */
    last: () => (batches.length > head ? batches.at(-1) : undefined),
    first: () => batches[head],
    /** The next batch to send, now counted as in flight. */
    takeUnsent(): PendingBatch {
      const batch = batches[head + inFlight]
      assert(batch !== undefined, 'took a batch that is not there')
      inFlight += 1
      unanswered += 1
      inFlightBytes += batch.bytes.length
      sent = Math.max(sent, inFlight)
      return batch
    },
    /** A Produce request was answered, or its answer was lost. */
    answered() {
      assert(unanswered > 0, 'a Produce was answered that was never sent')
      unanswered -= 1
    },
    /** The target may have appended a batch whose acknowledgement did not arrive. */
    doubt() {
      outcomeUnknown = true
    },
    peekUnsent: () => batches[head + inFlight],
    /** The batch that was sent last and is not acknowledged; undefined: none is in flight. */
    lastInFlight: () => (inFlight === 0 ? undefined : batches[head + inFlight - 1]),
    /** Offsets are filled from now on: as a request that is not answered (`answered`). */
    fillingBegun() {
      unanswered += 1
    },
    /** The next ones to send, up to `max`, if none of them ever was; else none. */
    neverSent: (max: number): readonly PendingBatch[] =>
      inFlight < sent ? [] : batches.slice(head + inFlight, head + inFlight + max),
    /** True when the next one to send was sent before: the target may hold it. */
    isNextSentAgain: () => inFlight < sent,
    /** Every batch, of which none was ever sent. */
    allUnsent(): readonly PendingBatch[] {
      assert(sent === 0, 'batches that may be on the target were to be sent otherwise')
      return batches.slice(head)
    },
    inFlightRecords: () =>
      batches.slice(head, head + inFlight).reduce((sum, { batch }) => sum + batch.recordsCount, 0),
    /** Removes batches at the head that are never sent as they are. None is in flight. */
    removeUnsent(count: number): readonly PendingBatch[] {
      assert(inFlight === 0 && sent === 0, 'removed batches that may be on the target')
      const removed = batches.slice(head, head + count)
      head += removed.length
      bytes -= removed.reduce((sum, batch) => sum + batch.bytes.length, 0)
      compact()
      return removed
    },
    /** One in the place of the first `count` of `neverSent`. */
    replaceNeverSent(count: number, by: PendingBatch) {
      assert(inFlight >= sent, 'replaced batches that may be on the target')
      const replaced = batches.splice(head + inFlight, count, by)
      bytes += by.bytes.length - replaced.reduce((sum, batch) => sum + batch.bytes.length, 0)
    },
    /** Removes the first batch: it was acknowledged. */
    shift(): PendingBatch {
      const batch = batches[head]
      assert(batch !== undefined && inFlight > 0, 'acknowledged a batch that was not in flight')
      head += 1
      inFlight -= 1
      sent -= 1
      bytes -= batch.bytes.length
      inFlightBytes -= batch.bytes.length
      // A batch that is still pending may have been sent before with an unknown outcome.
      if (head === batches.length) outcomeUnknown = false
      compact()
      return batch
    },
    /** Others in the place of the first one, which was refused: to be sent after a rewind. */
    replaceFirst(by: readonly PendingBatch[]) {
      const whole = batches[head]
      assert(whole !== undefined && sent > 0, 'replaced a batch that was never sent')
      batches = [...by, ...batches.slice(head + 1)]
      head = 0
      sent += by.length - 1
      bytes += by.reduce((sum, batch) => sum + batch.bytes.length, 0) - whole.bytes.length
    },
    /** All batches count as unsent again, in order, to be sent with the same sequences. */
    rewind() {
      inFlight = 0
      inFlightBytes = 0
    },
    /** Drops batches never sent. Batches that were sent stay: the target may have appended them. */
    dropUnsent() {
      const kept = batches.slice(head, head + sent)
      batches = kept
      head = 0
      bytes = kept.reduce((sum, batch) => sum + batch.bytes.length, 0)
    },
    /** The run has ended: answers from here on move the position no more. */
    abandon() {
      if (unanswered > 0) outcomeUnknown = true
      this.clear()
    },
    /** Drops all batches. Answers to those in flight are still counted. */
    clear() {
      batches = []
      head = 0
      inFlight = 0
      inFlightBytes = 0
      sent = 0
      bytes = 0
    },
  }
}
