import { expect, test } from 'vitest'
import { accountOf } from '../../../../lib/core/drill/account.ts'

test('an account counts what was not read, read again, and sent by nobody', () => {
  const account = accountOf({
    acknowledged: [['a', 'b'], ['c']],
    unknown: [['d', 'e']],
    read: [
      ['a', 'a'],
      ['d', 'x', 'a'],
    ],
  })

  expect(account).toEqual({ written: 3, notRead: 2, readAgain: 2, foreign: 1 })
})
