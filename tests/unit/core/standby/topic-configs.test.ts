// Which configs of a source topic its standby topic gets, and that the documentation says the same.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  cautiousConfigs,
  refusedConfigs,
  standbyConfigs,
  type Travel,
  topicConfigs,
} from '../../../../lib/core/standby/topic-configs.ts'

const inherited = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'segment.bytes': '1073741824',
  'min.compaction.lag.ms': '0',
  'delete.retention.ms': '86400000',
  'max.message.bytes': '1048588',
  'message.timestamp.type': 'CreateTime',
  'min.insync.replicas': '2',
  'compression.type': 'producer',
}

function source(own: Record<string, string>) {
  return standbyConfigs({
    values: new Map(Object.entries({ ...inherited, ...own })),
    own: new Set(Object.keys(own)),
  })
}

const unlimited = '9223372036854775807'
const always = {
  'compression.type': 'producer',
  'message.timestamp.type': 'CreateTime',
  'message.timestamp.before.max.ms': unlimited,
  'message.timestamp.after.max.ms': unlimited,
}

test('a standby topic gets the retention that its source topic inherits from its broker', () => {
  expect(source({})).toEqual({
    configs: {
      ...always,
      'cleanup.policy': 'delete',
      'retention.ms': '-1',
      'retention.bytes': '-1',
      'max.message.bytes': '1048588',
    },
    unknown: [],
  })
})

test('a compacted source topic gives its policy and its compaction lags', () => {
  expect(source({ 'cleanup.policy': 'compact, delete' }).configs).toMatchObject({
    'cleanup.policy': 'compact, delete',
    'min.compaction.lag.ms': '0',
    'delete.retention.ms': '86400000',
  })
})

test.each([
  ['segment.bytes', '16777216', '16777216'],
  ['max.message.bytes', '5000000', '5000000'],
  // Coalesced batches are larger than the smallest limits.
  ['max.message.bytes', '1000', '1048588'],
  ['message.timestamp.type', 'LogAppendTime', 'CreateTime'],
  ['message.timestamp.after.max.ms', '60000', unlimited],
  ['compression.type', 'zstd', 'producer'],
  ['min.insync.replicas', '3', undefined],
  ['unclean.leader.election.enable', 'true', undefined],
  ['leader.replication.throttled.replicas', '0:1', undefined],
  ['remote.storage.enable', 'true', undefined],
])('a source topic with %s=%s gives its standby topic %s', (name, value, expected) => {
  expect(source({ [name]: value }).configs[name]).toBe(expected)
})

test('a config that is set on the source topic and is in no table does not travel, and is named', () => {
  const { configs, unknown } = source({ 'vendor.tiering': 'on', 'retention.ms': '5' })
  expect(unknown).toEqual(['vendor.tiering'])
  expect(configs).not.toHaveProperty('vendor.tiering')
})

test('while the configs of a source topic may not be read, its standby topic deletes nothing', () => {
  expect(cautiousConfigs()).toMatchObject({
    ...always,
    'retention.ms': '-1',
    'retention.bytes': '-1',
  })
})

test('a refused config is recognized as a whole word in the answer of the broker', () => {
  const configs = { 'retention.ms': '1', 'delete.retention.ms': '1', 'segment.bytes': '1' }
  const refused = (answer: string) => refusedConfigs(answer, configs)
  expect(refused('Unknown topic config name: delete.retention.ms')).toEqual(['delete.retention.ms'])
  expect(refused('Invalid value 1 for configuration segment.bytes: too small.')).toEqual([
    'segment.bytes',
  ])
  expect(refused('retention.ms must be 7 days, not retention.ms.')).toEqual(['retention.ms'])
  expect(refused('Topics need an owner')).toEqual([])
})

test('docs/STANDBY-TOPICS.md has a row with the reason of every topic config', () => {
  const path = join(import.meta.dirname, '../../../../docs/STANDBY-TOPICS.md')
  const text = readFileSync(path, 'utf8')
  const how: Record<Travel['kind'], string> = {
    effective: "the source's, also an inherited one",
    'effective-if-compacted': "the source's, where the topic is compacted",
    'if-set': "the source's, if set on the topic",
    'at-least': "the source's, at least ",
    always: 'always `',
    never: "the standby's default",
  }
  const follows: Record<Travel['kind'], string> = {
    effective: 'set, set back',
    'effective-if-compacted': 'set, set back, removed',
    'if-set': 'set, set back, removed',
    'at-least': 'raised, never lowered',
    always: 'set back',
    never: 'no',
  }
  for (const [name, row] of Object.entries<Travel & { readonly why: string }>(topicConfigs)) {
    const value = 'value' in row ? `${row.value}${row.kind === 'always' ? '`' : ''}` : ''
    const cells = [`\`${name}\``, `${how[row.kind]}${value}`, follows[row.kind], row.why]
    expect(text).toContain(`\n| ${cells.join(' | ')} |\n`)
  }
})
