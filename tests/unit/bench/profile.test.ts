// The summary of the samples of V8's profiler, and its tables.

import { expect, test } from 'vitest'
import { profileTables } from '../../../bench/compare/report/profile-tables.ts'
import { summaryOf } from '../../../bench/compare/sections/profile.ts'

const frame = (id: number, functionName: string, url = '') => ({
  id,
  callFrame: { functionName, url },
})

const profile = {
  nodes: [
    frame(1, '(idle)'),
    frame(2, '(garbage collector)'),
    frame(3, '(program)'),
    frame(4, 'writev'),
    frame(5, 'copy', 'node:buffer'),
    frame(6, 'produce', 'file:///bundle/replicate.mjs'),
    // The same function, called from somewhere else.
    frame(7, 'produce', 'file:///bundle/replicate.mjs'),
    frame(8, '', 'file:///bundle/replicate.mjs'),
  ],
  samples: [1, 2, 3, 4, 5, 6, 7, 8, 1],
  timeDeltas: [90_000, 1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 1_000, 90_000],
}

test('every sample counts for the function that ran, and idle samples count for none', () => {
  expect(summaryOf(profile)).toEqual({
    mainThreadMilliseconds: 48,
    parts: { collecting: 1, system: 6, node: 8, bundle: 33 },
    functions: [
      { name: 'produce', milliseconds: 32 },
      { name: 'copy (node:buffer)', milliseconds: 8 },
      { name: 'writev', milliseconds: 4 },
      { name: '(program)', milliseconds: 2 },
      { name: '(garbage collector)', milliseconds: 1 },
      { name: 'a function without a name', milliseconds: 1 },
    ],
  })
})

test('parts are shares of the whole process, functions are shares of its main thread', () => {
  const run = { case: 'plain', processorMilliseconds: 60, ...summaryOf(profile) }
  const [, table, functions] = profileTables([run])
  expect(table).toContain('| plain | 0.06 | 10 % | 1.67 % | 13.3 % | 55 % | 20 % |')
  expect(functions).toContain(
    'plain, the most expensive functions of the main thread: `produce` 66.7 %, ',
  )
})
