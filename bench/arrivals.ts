// Owns the arrivals that a tail reader reports: their times and ages, and the longest gaps between
// them. All times are the machine's (part.ts), ms.

import type { Part } from './part.ts'
import type { ReaderReport } from './parts/tail-reader.ts'

export type Arrivals = {
  /** Arrival time and age of each record, in order of arrival. */
  readonly atMs: readonly number[]
  readonly ageMs: readonly number[]
}

/** Collects every arrival that the reader reports from now on. */
export function keepArrivals(reader: Part<ReaderReport>): Arrivals {
  const atMs: number[] = []
  const ageMs: number[] = []
  reader.onReport(each => {
    if (each.kind !== 'arrivals') return
    for (let at = 0; at + 1 < each.samples.length; at += 2) {
      atMs.push(each.samples[at] ?? 0)
      ageMs.push(each.samples[at + 1] ?? 0)
    }
  })
  return { atMs, ageMs }
}

/** The longest gap without an arrival between two times, the gaps at both ends included. */
export function longestGapMs({ atMs }: Arrivals, fromMs: number, toMs: number): number {
  const within = atMs.filter(each => each > fromMs && each < toMs)
  const bounds = [fromMs, ...within, toMs]
  return bounds.reduce((longest, at, index) => {
    return Math.max(longest, at - (bounds[index - 1] ?? at))
  }, 0)
}

/** The first arrival of a record that was sent after `sinceMs`; null: none so far. */
export function firstNewAfter({ atMs, ageMs }: Arrivals, sinceMs: number): number | null {
  const found = atMs.findIndex((at, index) => at - (ageMs[index] ?? 0) > sinceMs)
  return atMs[found] ?? null
}
