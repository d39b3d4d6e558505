// Owns the digests of a log: one number for each range of its offsets, so that a second run, or a
// second person, can tell that both read the same. Does not own what is put in (account.ts), nor
// the report (report.ts).

import { printOfAll } from '../pairing/print.ts'

/** Offsets of one digest. The ranges begin at multiples of it, whatever the log start is. */
export const digestOffsets = 1_000_000n

export type RangeDigest = {
  /** The first offset that went in. */
  from: bigint
  /** The offset behind the last one. */
  to: bigint
  /** Records, or batches where nothing was opened. */
  count: number
  print: number
}

/** Ranges by their number, in the order of offsets. */
export type Digests = Map<bigint, RangeDigest>

/** `from` and `to`: the offsets that these numbers stand for. */
export function addToDigest(
  digests: Digests,
  { from, to }: { readonly from: bigint; readonly to: bigint },
  numbers: readonly number[],
): void {
  const range = from / digestOffsets
  const digest = digests.get(range) ?? { from, to, count: 0, print: 0 }
  digest.print = printOfAll([digest.print, Number(from & 0xffff_ffffn), ...numbers])
  digest.to = to
  digest.count += 1
  digests.set(range, digest)
}

/** As 14 hexadecimal digits. */
export function digestText({ print }: RangeDigest): string {
  return print.toString(16).padStart(14, '0')
}
