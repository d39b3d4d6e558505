// Our records that are no certain copy are counted once, however many reasons there are to doubt.

import { expect, test } from 'vitest'
import { createCopyRules } from '../../../../lib/run/compare/copy-rules.ts'

const own = { index: 0n }

function rulesAfter(doubtful: number, others: number) {
  const rules = createCopyRules({ position: 0n, readableFrom: 0n })
  rules.noteUnmatched(own, doubtful + others)
  for (let each = 0; each < doubtful; each += 1) rules.noteDoubtful()
  return rules
}

test('a doubtful record counts where a hole would explain every record that matched nothing', () => {
  expect(rulesAfter(1, 2).unexplained(10n)).toBe(1n)
})

test('a doubtful record that no hole explains counts once', () => {
  expect(rulesAfter(2, 1).unexplained(0n)).toBe(3n)
})

test('a match settles the doubts before it', () => {
  const rules = rulesAfter(1, 0)
  rules.noteMatched({ first: 5n, last: 5n, count: 1 })
  expect(rules.unexplained(6n)).toBe(0n)
})
