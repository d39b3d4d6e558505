// What is alike at the ends of two logs that are compacted apart.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type KeyedRecord, newestOfKeys } from '../../../../lib/core/translate/compacted-tail.ts'

type Numbered = KeyedRecord & { readonly number: number }

const logs = fc
  .array(fc.record({ key: fc.constantFrom('a', 'b', 'c', null), isTombstone: fc.boolean() }))
  .map(log => log.map((each, number): Numbered => ({ ...each, number })))

/** Removes some of what a cleaner may remove: replaced records, and tombstones that stand alone. */
function cleaned(log: readonly Numbered[], may: (number: number) => boolean): Numbered[] {
  const isReplaced = (each: Numbered) =>
    each.key !== null && log.some(({ key, number }) => key === each.key && number > each.number)
  const left = log.filter(each => !isReplaced(each) || !may(each.number))
  const isAlone = (each: Numbered) => left.filter(({ key }) => key === each.key).length === 1
  return left.filter(each => each.key === null || !each.isTombstone || !isAlone(each) || !may(-1))
}

test('whatever two cleaners have removed, the newest records of all keys are the same', () => {
  fc.assert(
    fc.property(logs, fc.func(fc.boolean()), fc.func(fc.boolean()), (log, here, there) => {
      expect(newestOfKeys(cleaned(log, here))).toEqual(newestOfKeys(cleaned(log, there)))
    }),
  )
})

test('a record without a key, and the newest one of a key, are kept in their order', () => {
  const record = (number: number, key: string | null) => ({ number, key, isTombstone: false })
  const log = [record(0, 'a'), record(1, null), record(2, 'b'), record(3, 'a'), record(4, null)]
  expect(newestOfKeys(log).map(each => each.number)).toEqual([1, 2, 3, 4])
})
