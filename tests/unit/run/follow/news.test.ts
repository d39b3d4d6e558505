// What stands as it stood a minute ago is not logged again.

import { expect, test } from 'vitest'
import { createNews } from '../../../../lib/run/follow/news.ts'

const line = (text: string) => ({ level: 'warn' as const, text })

test('a line is said once while it stands, again after it was gone, and for each flow by itself', () => {
  const news = createNews()
  expect(news.of('flow', [line('a'), line('b')])).toEqual([line('a'), line('b')])
  expect(news.of('flow', [line('a'), line('c')])).toEqual([line('c')])
  expect(news.of('other', [line('a')])).toEqual([line('a')])
  expect(news.of('flow', [])).toEqual([])
  expect(news.of('flow', [line('a')])).toEqual([line('a')])
})
