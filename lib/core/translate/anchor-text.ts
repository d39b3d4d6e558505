// Owns anchors as text: one as an attribute of the checkpoint's row, and a list, each anchor as its
// distance from the one before, so that some hundred fit into a few KB. Does not own the rows that
// hold the text (core/row).
//
//   one           source:target:records@ms reason; records is empty where the count is not known;
//                 " same" follows where the distance is kept behind the anchor
//   a list        source.target.records.ms.reason, comma separated, "=" follows for the same; from
//                 the second one on target and records are written as what they grew less than the
//                 source did, and numbers have the base 36

import { sourceOffset, targetOffset } from '../offset.ts'
import { type Anchor, type AnchorReason, type Anchors, anchorReasons } from './anchor.ts'

const OFFSET_MAX = 2n ** 63n - 1n

/** As one attribute of the checkpoint's row. */
export function writeAnchor(anchor: Anchor): string {
  const { sourceOffset: source, targetOffset: target, copiedRecords, atMs, reason } = anchor
  const same = anchor.keepsDistance === undefined ? '' : ' same'
  return `${source}:${target}:${copiedRecords ?? ''}@${atMs} ${reason}${same}`
}

const anchorShape = /^(\d{1,19}):(\d{1,19}):(\d{0,19})@(\d{1,16}) ([a-z]+)( same)?$/

/** null: the text is not that of `writeAnchor`. */
export function readAnchor(text: string): Anchor | null {
  const [, source, target, records, atMs, reason, same] = anchorShape.exec(text) ?? []
  if (source === undefined || target === undefined || records === undefined) return null
  return anchorOf({
    source: BigInt(source),
    target: BigInt(target),
    records: records === '' ? null : BigInt(records),
    atMs: BigInt(atMs ?? 0),
    reason: reason ?? '',
    isKept: same !== undefined,
  })
}

type Numbers = {
  readonly source: bigint
  readonly target: bigint
  readonly records: bigint | null
  readonly atMs: bigint
  readonly reason: string
  readonly isKept: boolean
}

function anchorOf({ source, target, records, atMs, reason: text, isKept }: Numbers): Anchor | null {
  const reason = anchorReasons.find(each => each === text)
  const numbers = [source, target, records ?? 0n, atMs]
  if (reason === undefined || numbers.some(each => each < 0n || each > OFFSET_MAX)) return null
  if (!Number.isSafeInteger(Number(atMs))) return null
  return {
    sourceOffset: sourceOffset(source),
    targetOffset: targetOffset(target),
    copiedRecords: records,
    atMs: Number(atMs),
    reason,
    ...(isKept ? { keepsDistance: true } : {}),
  }
}

const letters = {
  spacing: '',
  drift: 'd',
  start: 's',
  reset: 'r',
  resume: 'o',
  divergence: 'v',
  uncounted: 'u',
} as const satisfies Record<AnchorReason, string>

const zero = { source: 0n, target: 0n, records: 0n, atMs: 0n }

/** A list of any length; '' where it is empty. */
export function writeAnchors(anchors: Anchors): string {
  let last = zero
  const parts = anchors.map(anchor => {
    const { sourceOffset: source, targetOffset: target, copiedRecords, reason } = anchor
    const atMs = BigInt(anchor.atMs)
    const grown = source - last.source
    const less = (now: bigint, before: bigint) => (grown - (now - before)).toString(36)
    const part = [
      grown.toString(36),
      less(target, last.target),
      copiedRecords === null ? '' : less(copiedRecords, last.records),
      (atMs - last.atMs).toString(36),
      `${letters[reason]}${anchor.keepsDistance === undefined ? '' : '='}`,
    ]
    last = { source, target, records: copiedRecords ?? last.records, atMs }
    return part.join('.')
  })
  return parts.join(',')
}

const partShape =
  /^(-?[\da-z]{1,14})\.(-?[\da-z]{1,14})\.(-?[\da-z]{0,14})\.(-?[\da-z]{1,14})\.([a-z]?)(=?)$/

/** null: the text is not that of `writeAnchors`. */
export function readAnchors(text: string): Anchors | null {
  if (text === '') return []
  const anchors: Anchor[] = []
  let last = zero
  for (const part of text.split(',')) {
    const [, grownText, lessTarget, lessRecords, laterMs, letter, same] = partShape.exec(part) ?? []
    const reason = anchorReasons.find(each => letters[each] === letter)
    if (grownText === undefined || lessTarget === undefined || reason === undefined) return null
    const grown = fromBase36(grownText)
    const records = lessRecords ? last.records + grown - fromBase36(lessRecords) : null
    const numbers = {
      source: last.source + grown,
      target: last.target + grown - fromBase36(lessTarget),
      records,
      atMs: last.atMs + fromBase36(laterMs ?? '0'),
    }
    const anchor = anchorOf({ ...numbers, reason, isKept: same === '=' })
    if (anchor === null) return null
    anchors.push(anchor)
    last = { ...numbers, records: records ?? last.records }
  }
  return anchors
}

/** `digits` has passed `partShape`. */
function fromBase36(digits: string): bigint {
  const isNegative = digits.startsWith('-')
  let value = 0n
  for (const digit of isNegative ? digits.slice(1) : digits) {
    value = value * 36n + BigInt(Number.parseInt(digit, 36))
  }
  return isNegative ? -value : value
}
