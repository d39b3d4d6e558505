// Owns what an audit is asked for: how much of each log, and how. Does not own the options of the
// command line.

export type AuditRange =
  | { readonly kind: 'full' }
  /** So many offsets of each partition, in parts that are spread over its log. */
  | { readonly kind: 'sample'; readonly offsets: bigint; readonly seed: number }
  /** From the first record with this timestamp on, Unix time, ms. */
  | { readonly kind: 'since'; readonly timeMs: number }

export type AuditRequest = {
  readonly range: AuditRange
  /** True: batches that are equal as a whole are opened as well, and their checksums verified. */
  readonly isDeep: boolean
  /** null: all topics. */
  readonly topic: string | null
}

/**
 * The parts of a sample: `[from, to)` of each, in order, without an overlap. The last one ends
 * where copying stands, because the newest records are the ones that a fail-over would use first.
 */
export function sampleParts(
  log: { readonly from: bigint; readonly to: bigint },
  { offsets, seed }: Extract<AuditRange, { kind: 'sample' }>,
  partsMax: number,
): { readonly from: bigint; readonly to: bigint }[] {
  const length = log.to - log.from
  if (length <= offsets) return length > 0n ? [log] : []
  const parts = offsets < BigInt(partsMax) ? 1n : BigInt(partsMax)
  const each = offsets / parts
  const stride = length / parts
  const found: { from: bigint; to: bigint }[] = []
  let chance = seed >>> 0
  for (let part = 0n; part < parts - 1n; part += 1n) {
    // A generator of Lehmer's kind; the report has the seed, so that a sample can be repeated.
    chance = (Math.imul(chance, 1_664_525) + 1_013_904_223) >>> 0
    const room = stride - each
    const from = log.from + part * stride + (room * BigInt(chance)) / 2n ** 32n
    found.push({ from, to: from + each })
  }
  return [...found, { from: log.to - each, to: log.to }]
}
