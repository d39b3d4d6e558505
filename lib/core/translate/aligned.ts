// Owns the alignment of two logs by the contents of their records, where counting is not enough:
// both sides compact on their own, and others may write to the target. Each record is known by its
// offset and a fingerprint of its contents. Does not own the fingerprints nor the reading
// (run/translate).
//
// Records whose fingerprint is there once on each side are pairs, and the longest row of pairs in
// which both offsets grow is certain (as in a patience diff). Between two pairs, equal records at
// either end are pairs, too.

/** A record of one log: `print` is equal for equal contents. */
export type Printed = { readonly offset: bigint; readonly print: string }

/** The same record on both sides. */
export type Pair = { readonly source: bigint; readonly target: bigint }

/** Indexes of the same record in two lists. */
type Match = { readonly left: number; readonly right: number }

/**
 * The pairs of two logs, in order; `source` and `target` in the order of their offsets. `mayBe`
 * refuses pairs that the distance of their offsets rules out.
 */
export function alignRecords(
  source: readonly Printed[],
  target: readonly Printed[],
  mayBe: (pair: Pair) => boolean = () => true,
): Pair[] {
  const pairOf = ({ left, right }: Match): Pair => ({
    source: source[left]?.offset ?? 0n,
    target: target[right]?.offset ?? 0n,
  })
  const certain = longestRow(uniqueMatches(source, target).filter(each => mayBe(pairOf(each))))
  const matches: Match[] = []
  let last: Match = { left: -1, right: -1 }
  for (const next of [...certain, { left: source.length, right: target.length }]) {
    matches.push(...matchesBetween(source, target, last, next))
    if (next.left < source.length) matches.push(next)
    last = next
  }
  return matches.map(pairOf).filter(mayBe)
}

function uniqueMatches(source: readonly Printed[], target: readonly Printed[]): Match[] {
  const left = indexesOfUnique(source)
  const right = indexesOfUnique(target)
  const matches: Match[] = []
  for (const [print, index] of left) {
    const other = right.get(print)
    if (other !== undefined) matches.push({ left: index, right: other })
  }
  return matches
}

function indexesOfUnique(records: readonly Printed[]): Map<string, number> {
  const found = new Map<string, number>()
  const repeated = new Set<string>()
  for (const [index, { print }] of records.entries()) {
    if (found.has(print)) repeated.add(print)
    else found.set(print, index)
  }
  for (const print of repeated) found.delete(print)
  return found
}

/** The longest part of the matches, which grow on the left, that grows on the right as well. */
function longestRow(matches: readonly Match[]): Match[] {
  /** The match that ends the best row of each length. */
  const ends: number[] = []
  const before: number[] = []
  for (const [index, { right }] of matches.entries()) {
    let [low, high] = [0, ends.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((matches[ends[middle] ?? 0]?.right ?? 0) < right) low = middle + 1
      else high = middle
    }
    before[index] = low === 0 ? -1 : (ends[low - 1] ?? -1)
    ends[low] = index
  }
  const row: Match[] = []
  for (let index = ends.at(-1) ?? -1; index >= 0; index = before[index] ?? -1) {
    const match = matches[index]
    if (match !== undefined) row.push(match)
  }
  return row.reverse()
}

/** Equal records right behind `last`, and right before `next`, as far as they go. */
function matchesBetween(
  source: readonly Printed[],
  target: readonly Printed[],
  last: Match,
  next: Match,
): Match[] {
  const isSame = (left: number, right: number) => source[left]?.print === target[right]?.print
  const behind: Match[] = []
  let [left, right] = [last.left + 1, last.right + 1]
  for (; left < next.left && right < next.right && isSame(left, right); left += 1, right += 1) {
    behind.push({ left, right })
  }
  const ahead: Match[] = []
  let [to, end] = [next.left - 1, next.right - 1]
  for (; to >= left && end >= right && isSame(to, end); to -= 1, end -= 1) {
    ahead.push({ left: to, right: end })
  }
  return [...behind, ...ahead.reverse()]
}

/** Where a source offset lies on the target. */
export type Aligned = {
  /** Right behind the last record that is certainly from below the offset. */
  readonly targetOffset: bigint
  /** Records from there on that may be from below the offset as well; 0: the answer is exact. */
  readonly doubtfulRecords: number
}

/**
 * `between` bounds the part of the target that the lists cover: `from` is the answer where no
 * record lies before the offset.
 */
export function placeAmong(
  pairs: readonly Pair[],
  target: readonly Printed[],
  offset: bigint,
  between: { readonly from: bigint; readonly to: bigint },
): Aligned {
  const index = firstIndex(pairs, each => each.source >= offset)
  const [behind, ahead] = [pairs[index - 1], pairs[index]]
  const from = behind === undefined ? between.from : behind.target + 1n
  const to = ahead === undefined ? between.to : ahead.target
  const begin = firstIndex(target, each => each.offset >= from)
  const end = firstIndex(target, each => each.offset >= to)
  // What lies before the record at the offset itself is from below the offset.
  if (ahead?.source === offset) {
    const last = end > begin ? target[end - 1] : undefined
    return { targetOffset: last === undefined ? from : last.offset + 1n, doubtfulRecords: 0 }
  }
  return { targetOffset: from, doubtfulRecords: Math.max(0, end - begin) }
}

/** The first index from which on all are meant; the length where none is. */
function firstIndex<T>(list: readonly T[], isMeant: (each: T) => boolean): number {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const each = list[middle]
    if (each !== undefined && isMeant(each)) high = middle
    else low = middle + 1
  }
  return low
}
