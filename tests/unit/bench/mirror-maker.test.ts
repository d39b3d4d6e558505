import { expect, test } from 'vitest'
import type { Job } from '../../../bench/compare/contenders/contender.ts'
import { renderMirrorMaker, TASKS_MAX } from '../../../bench/compare/contenders/mirror-maker.ts'

const job: Job = {
  sourceBrokers: '127.0.0.1:1111',
  targetBrokers: '127.0.0.1:2222',
  topic: 'wal.events',
  partitions: 32,
  route: 'r7',
  dir: '/nowhere',
  follows: true,
}

function propertiesOf(text: string): Map<string, string> {
  const lines = text.trimEnd().split('\n')
  return new Map(
    lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

const defaults = propertiesOf(renderMirrorMaker(job, { tuned: false }))
const tuned = propertiesOf(renderMirrorMaker(job, { tuned: true, compression: 'zstd' }))

test('one direction is enabled, for one topic', () => {
  expect(defaults.get('clusters')).toBe('r7, standby-r7')
  expect(defaults.get('r7.bootstrap.servers')).toBe('127.0.0.1:1111')
  expect(defaults.get('standby-r7.bootstrap.servers')).toBe('127.0.0.1:2222')
  expect([...defaults.keys()].filter(key => key.endsWith('.enabled'))).toEqual([
    'r7->standby-r7.enabled',
  ])
  // In a regular expression a dot would stand for any character, and a second topic be copied.
  expect(defaults.get('r7->standby-r7.topics')).toBe('wal[.]events')
})

test('the defaults set replication factors and nothing else', () => {
  const own = [...defaults].filter(([key]) => !/^(?:clusters|r7|standby-r7)/.test(key))
  expect(own.length).toBe(7)
  for (const [key, value] of own) {
    expect(key).toMatch(/^(?:[a-z-]+\.)*replication\.factor$/)
    expect(value).toBe('1')
  }
})

test('two routes share no name but the brokers', () => {
  const other = propertiesOf(renderMirrorMaker({ ...job, route: 'r8' }, { tuned: false }))
  const named = (properties: Map<string, string>) =>
    [...properties.keys()].filter(key => !key.endsWith('replication.factor') && key !== 'clusters')
  expect(named(other).filter(key => named(defaults).includes(key))).toEqual([])
  expect(other.get('clusters')).toBe('r8, standby-r8')
})

test('tuned writes with the codec of the source, and without one where the source has none', () => {
  const key = 'r7->standby-r7.producer.override.compression.type'
  expect(tuned.get(key)).toBe('zstd')
  expect(propertiesOf(renderMirrorMaker(job, { tuned: true })).has(key)).toBe(false)
})

test('tuned has a task for each partition, up to a few', () => {
  const tasksOf = (partitions: number) =>
    propertiesOf(renderMirrorMaker({ ...job, partitions }, { tuned: true })).get('tasks.max')
  expect([1, 2, 200].map(tasksOf)).toEqual(['1', '2', String(TASKS_MAX)])
})

test('given properties replace rendered ones', () => {
  const own = { 'tasks.max': '9', 'refresh.topics.interval.seconds': '5' }
  const properties = propertiesOf(renderMirrorMaker(job, { tuned: true, properties: own }))
  expect(properties.get('tasks.max')).toBe('9')
  expect(properties.get('refresh.topics.interval.seconds')).toBe('5')
})
