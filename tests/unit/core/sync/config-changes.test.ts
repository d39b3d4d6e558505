// Which configs of a standby topic are changed so that it follows its source topic.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type ConfigRules,
  type SourceConfigs,
  standbyConfigs,
  tableRules,
  topicConfigs,
} from '../../../../lib/core/standby/topic-configs.ts'
import { configChanges } from '../../../../lib/core/sync/config-changes.ts'

const defaults = {
  'cleanup.policy': 'delete',
  'retention.ms': '604800000',
  'retention.bytes': '-1',
  'segment.bytes': '1073741824',
  'max.message.bytes': '1048588',
  'message.timestamp.type': 'CreateTime',
  'min.insync.replicas': '1',
  'compression.type': 'producer',
}

/** A topic that sets these configs itself and inherits the others. */
function topic(own: Record<string, string>, inherited: Record<string, string> = {}): SourceConfigs {
  return {
    values: new Map(Object.entries({ ...defaults, ...inherited, ...own })),
    own: new Set(Object.keys(own)),
  }
}

const changed = (
  source: SourceConfigs,
  standby: SourceConfigs,
  rules: Partial<ConfigRules> = {},
): Record<string, string | null> =>
  Object.fromEntries(
    configChanges(source, standby, { ...tableRules, ...rules }).map(each => [each.config, each.to]),
  )

test('a retention that changed on the source is set, and one that was changed at the standby is set back', () => {
  expect(changed(topic({ 'retention.ms': '1000' }), topic({}))).toEqual({ 'retention.ms': '1000' })
  expect(changed(topic({}), topic({ 'retention.ms': '1000' }))).toEqual({
    'retention.ms': '604800000',
  })
})

test('a config that only some topics set is removed on the standby when the source removes it', () => {
  expect(changed(topic({}), topic({ 'segment.bytes': '1024' }))).toEqual({ 'segment.bytes': null })
})

test('with the defaults of the source, a default that differs is set; with those of the standby, nothing', () => {
  const source = topic({}, { 'retention.bytes': '1000' })
  expect(changed(source, topic({}))).toEqual({ 'retention.bytes': '1000' })
  expect(changed(source, topic({}), { useDefaults: 'standby' })).toEqual({})
})

test('with the defaults of the standby, a config that the source removes is removed', () => {
  const standby = topic({ 'retention.bytes': '1000' })
  expect(changed(topic({}), standby, { useDefaults: 'standby' })).toEqual({
    'retention.bytes': null,
  })
})

test('excluded configs are left alone, and included ones follow although the table says otherwise', () => {
  const source = topic({ 'retention.ms': '1', 'unclean.leader.election.enable': 'true' })
  const standby = topic({ 'unclean.leader.election.enable': 'false' })
  const rules = {
    includeConfigs: ['unclean.leader.election.enable'],
    excludeConfigs: ['retention.ms'],
  }
  expect(changed(source, standby, rules)).toEqual({ 'unclean.leader.election.enable': 'true' })
})

test('an included config of a vendor, which is not in the table, follows', () => {
  const source = topic({ 'vendor.tier': 'cold' })
  const rules = { includeConfigs: ['vendor.tier'] }
  expect(changed(source, topic({ 'vendor.tier': 'hot' }), rules)).toEqual({ 'vendor.tier': 'cold' })
  // A broker that does not know the config would refuse it.
  expect(changed(source, topic({}), rules)).toEqual({})
})

test('what belongs to the brokers never follows, and what copying needs is set back', () => {
  const source = topic({ 'min.insync.replicas': '2', 'compression.type': 'gzip' })
  expect(changed(source, topic({}))).toEqual({})
  const standby = topic({
    'message.timestamp.type': 'LogAppendTime',
    'compression.type': 'zstd',
    'min.insync.replicas': '3',
  })
  expect(changed(topic({}), standby)).toEqual({
    'message.timestamp.type': 'CreateTime',
    'compression.type': 'producer',
  })
})

test('a limit on the size of records is raised and never lowered: larger ones may wait to be copied', () => {
  const large = topic({ 'max.message.bytes': '5000000' })
  expect(changed(large, topic({}))).toEqual({ 'max.message.bytes': '5000000' })
  expect(changed(topic({}), large)).toEqual({})
})

test('a policy in another order is the same policy', () => {
  const source = topic({ 'cleanup.policy': 'compact,delete' })
  expect(changed(source, topic({ 'cleanup.policy': 'delete, compact' }))).toEqual({})
})

test('a topic that is created with the configs of its source has nothing to change, under any rules', () => {
  const name = fc.constantFrom(...Object.keys(defaults), 'segment.ms', 'vendor.tier')
  const value = fc.constantFrom('1', '1000', '9000000', 'delete', 'compact', 'compact,delete')
  const configs = fc.dictionary(name, value)
  const rules = fc.record({
    includeConfigs: fc.uniqueArray(name),
    excludeConfigs: fc.uniqueArray(name),
    useDefaults: fc.constantFrom('source' as const, 'standby' as const),
  })
  fc.assert(
    fc.property(configs, configs, rules, (own, inherited, drawn) => {
      const source = topic(own, inherited)
      const created = topic(standbyConfigs(source, drawn).configs)
      expect(configChanges(source, created, drawn)).toEqual([])
    }),
  )
})

test('applying the changes leaves nothing to change, and no config that never travels is among them', () => {
  const name = fc.constantFrom(...Object.keys(topicConfigs))
  const configs = fc.dictionary(name, fc.constantFrom('1', '1000', '9000000', 'compact'))
  fc.assert(
    fc.property(configs, configs, (left, right) => {
      const source = topic(left)
      const changes = configChanges(source, topic(right), tableRules)
      const own: Record<string, string> = { ...right }
      for (const { config, to } of changes) {
        if (to === null) delete own[config]
        else own[config] = to
      }
      expect(configChanges(source, topic(own), tableRules)).toEqual([])
      const never = Object.entries(topicConfigs).filter(([, { kind }]) => kind === 'never')
      const names = new Set<string>(never.map(([each]) => each))
      expect(changes.filter(each => names.has(each.config))).toEqual([])
    }),
  )
})
