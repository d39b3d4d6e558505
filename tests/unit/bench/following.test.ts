// A contender that copies nothing must neither hang a measurement nor give a figure.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Job } from '../../../bench/compare/contenders/contender.ts'
import { stuckError, waitUntil } from '../../../bench/compare/sections/following.ts'

let dir = ''
const contender = { name: 'the contender' }

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gapless-following-'))
})

afterAll(() => rm(dir, { recursive: true }))

function job(): Job {
  const brokers = { sourceBrokers: '127.0.0.1:1', targetBrokers: '127.0.0.1:2' }
  return { ...brokers, topic: 'orders', partitions: 1, route: 'route1', dir, follows: true }
}

test('a contender that never copies is an error with the path and the end of its log', async () => {
  await writeFile(join(dir, 'mm2.properties'), 'clusters=a, b')
  await writeFile(join(dir, 'mm2.log'), `${'x'.repeat(10_000)}\nno such plugin`)
  const failure = () => stuckError(contender, job(), 'topic route1.orders has no records')
  const never = waitUntil(() => Promise.resolve(false), 0, failure)
  const { message } = await never.then(
    () => new Error('it came'),
    error => error as Error,
  )
  expect(message).toContain('the contender got stuck: topic route1.orders has no records')
  expect(message).toContain(join(dir, 'mm2.log'))
  expect(message).toContain('no such plugin')
  expect(message).not.toContain('clusters=')
  expect(message.length).toBeLessThan(4_000)
})
