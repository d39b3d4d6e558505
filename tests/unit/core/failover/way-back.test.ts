// Where a fail-back begins: what of two logs that parted is common, what never travelled, and what
// travels back.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wayBack } from '../../../../lib/core/failover/way-back.ts'

const printed = (from: bigint, prints: readonly string[]) =>
  prints.map((print, index) => ({ offset: from + BigInt(index), print }))

test('logs that ended together part nowhere: everything behind the fence travels back', () => {
  expect(wayBack({ onSource: [], onStandby: [], standbyEnd: 101n })).toEqual({
    from: 101n,
    divergent: null,
  })
})

test('records that a crashed run copied and no checkpoint counts are common to both', () => {
  const onSource = printed(100n, ['a', 'b'])
  const onStandby = printed(90n, ['a', 'b'])
  expect(wayBack({ onSource, onStandby, standbyEnd: 93n })).toEqual({ from: 93n, divergent: null })
})

test('the rest of the source is divergent, and the rest of the standby travels back', () => {
  const onSource = printed(100n, ['a', 'b', 'c'])
  const onStandby = printed(90n, ['a', 'x', 'y'])
  expect(wayBack({ onSource, onStandby, standbyEnd: 94n })).toEqual({
    from: 91n,
    divergent: { records: 2, from: 101n },
  })
})

test('no record of either log is left out, and none of what both have travels', () => {
  const prints = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 })
  const property = fc.property(prints, prints, prints, (common, ours, theirs) => {
    const onSource = printed(0n, [...common, ...ours])
    const onStandby = printed(0n, [...common, ...theirs])
    const standbyEnd = BigInt(onStandby.length) + 1n
    const { from, divergent } = wayBack({ onSource, onStandby, standbyEnd })
    const shared = onSource.length - (divergent?.records ?? 0)
    expect(shared).toBeGreaterThanOrEqual(common.length)
    expect(onSource.slice(0, shared).map(each => each.print)).toEqual(
      onStandby.slice(0, shared).map(each => each.print),
    )
    const travelling = onStandby.filter(each => each.offset >= from)
    expect(travelling).toEqual(onStandby.slice(shared))
  })
  fc.assert(property)
})
