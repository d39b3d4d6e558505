import { describe, expect, test } from 'vitest'
import { concurrently } from '../../../lib/run/concurrently.ts'
import { createVirtualClock } from '../../support/doubles/virtual-clock.ts'

const items = Array.from({ length: 25 }, (_, index) => index)

describe('concurrently', () => {
  test('every item is processed once, in order, and at most so many at a time', async () => {
    const clock = createVirtualClock()
    const begun: number[] = []
    let underWay = 0
    let most = 0

    await concurrently(items, 4, async item => {
      begun.push(item)
      underWay += 1
      most = Math.max(most, underWay)
      await clock.wait((item * 7) % 10)
      underWay -= 1
    })

    expect(begun).toEqual(items)
    expect({ most, underWay }).toEqual({ most: 4, underWay: 0 })
  })

  test('an empty list of items calls no function', async () => {
    await concurrently([], 4, async () => expect.unreachable())
  })

  test('the first failure of an item rejects the whole', async () => {
    const clock = createVirtualClock()
    const failing = concurrently(items, 4, async item => {
      await clock.wait(10 - item)
      throw new Error(`item ${item}`)
    })
    await expect(failing).rejects.toThrow('item 3')
  })
})
