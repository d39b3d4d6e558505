import { describe, expect, test } from 'vitest'
import { epochHistoryMax } from '../../../../lib/core/config/defaults.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import {
  concatSpans,
  type EpochHistory,
  historyAfter,
  historyBefore,
  nextStep,
} from '../../../../lib/core/partition/epoch-history.ts'

const at = sourceOffset
const on = targetOffset
const start = (epoch: number, source: bigint) => {
  return { epoch, sourceOffset: at(source), targetOffset: null }
}
/** Epoch 1 from 0, 3 from 50, 6 from 80; the position is 100. */
const copied: EpochHistory = [start(1, 0n), start(3, 50n), start(6, 80n)]
const asked = { sourceOffset: at(100n), epoch: 6 }
const says = (epoch: number, endOffset: bigint, logStartOffset = 0n) => {
  return { epoch, endOffset: at(endOffset), logStartOffset: at(logStartOffset) }
}

describe('the divergence point', () => {
  test.each([
    [
      'the last copied epoch diverges at its end on the source',
      says(6, 90n),
      { kind: 'at', sourceOffset: 90n },
    ],
    [
      'an older epoch diverges at its end on the source',
      says(3, 70n),
      { kind: 'at', sourceOffset: 70n },
    ],
    [
      'an epoch that is longer on the source diverges at its copied end',
      says(3, 95n),
      { kind: 'at', sourceOffset: 80n },
    ],
    [
      'an epoch that ends beyond the position diverges at its copied end',
      says(3, 200n),
      { kind: 'at', sourceOffset: 80n },
    ],
    [
      'an epoch that was never copied leads to a request for the one before it',
      says(5, 90n),
      { kind: 'ask', asked: { sourceOffset: 80n, epoch: 3 } },
    ],
    [
      'an epoch older than a complete history diverges at 0',
      says(0, 40n),
      { kind: 'at', sourceOffset: 0n },
    ],
    [
      'an epoch that ends at the log start may have diverged before it',
      says(6, 90n, 90n),
      { kind: 'at-or-before', sourceOffset: 90n },
    ],
  ])('%s', (_, answer, expected) => {
    expect(nextStep(copied, asked, answer)).toEqual(expected)
  })

  test('the divergence point is not known where the history begins later', () => {
    expect(nextStep(copied.slice(1), asked, says(2, 60n))).toEqual({
      kind: 'at-or-before',
      sourceOffset: 50n,
    })
    expect(nextStep([], asked, says(2, 60n))).toEqual({
      kind: 'at-or-before',
      sourceOffset: 100n,
    })
  })
})

describe('the history', () => {
  const from = { sourceOffset: at(100n), targetOffset: on(40n) }
  const historyWith = (epoch: number | null, history = copied) =>
    historyAfter(history, from, {
      span: { nextSourceOffset: at(110n), epoch },
      targetBehind: null,
    })

  test('the epoch history gets an entry where the epoch changes, and only there', () => {
    expect(historyWith(6)).toEqual(copied)
    expect(historyWith(7)).toEqual([...copied, { epoch: 7, sourceOffset: 100n, targetOffset: 40n }])
  })

  test('the epoch history has every epoch of a span, skipped ones too', () => {
    const span = concatSpans(
      { nextSourceOffset: at(104n), epoch: 7 },
      concatSpans(
        { nextSourceOffset: at(105n), epoch: 7 },
        { nextSourceOffset: at(110n), epoch: 9 },
      ),
    )
    expect(span).toEqual({
      nextSourceOffset: 110n,
      epoch: 9,
      earlierEpochs: [{ epoch: 7, endOffset: 105n }],
    })
    expect(historyAfter([], from, { span, targetBehind: on(44n) })).toEqual([
      { epoch: 7, sourceOffset: 100n, targetOffset: 40n },
      { epoch: 9, sourceOffset: 105n, targetOffset: 44n },
    ])
  })

  test('the epoch history keeps the newest entries', () => {
    let history: EpochHistory = []
    for (let epoch = 0; epoch < 2 * epochHistoryMax; epoch += 1)
      history = historyWith(epoch, history)
    expect(history.map(each => each.epoch)).toEqual(
      Array.from({ length: epochHistoryMax }, (_, index) => index + epochHistoryMax),
    )
  })

  test('the epoch history begins anew behind a batch without an epoch, and where epochs go backwards', () => {
    expect(historyWith(null)).toEqual([])
    expect(historyWith(5)).toEqual([{ epoch: 5, sourceOffset: 100n, targetOffset: 40n }])
  })

  test('the epoch history before an offset has the epochs copied before it', () => {
    expect(historyBefore(copied, at(80n))).toEqual(copied.slice(0, 2))
    expect(historyBefore(copied, at(0n))).toEqual([])
  })
})
