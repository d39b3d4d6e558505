// Every setting of a standby topic that loses what its source topic keeps, and none that does not.

import { expect, test } from 'vitest'
import {
  lossySettings,
  lossySettingText,
  missingSettings,
} from '../../../../lib/core/standby/lossy-settings.ts'

const DAY = 86_400_000
const unlimited = '9223372036854775807'

const kafkaDefaults = {
  'cleanup.policy': 'delete',
  'retention.ms': String(7 * DAY),
  'retention.bytes': '-1',
  'delete.retention.ms': String(DAY),
  'min.compaction.lag.ms': '0',
  'max.message.bytes': '1048588',
  'message.timestamp.type': 'CreateTime',
  'message.timestamp.before.max.ms': unlimited,
  'message.timestamp.after.max.ms': '3600000',
  'min.insync.replicas': '1',
  'unclean.leader.election.enable': 'false',
}

type Some = Record<string, string>

function compare(source: Some, standby: Some) {
  const all = (some: Some) => new Map(Object.entries({ ...kafkaDefaults, ...some }))
  return lossySettings(all(source), all(standby))
}

const compact = { 'cleanup.policy': 'compact' }
const forEver = { 'retention.ms': '-1' }

test.each<[string, Some, Some]>([
  ['the same defaults', {}, {}],
  ['a standby that keeps longer', {}, { 'retention.ms': String(8 * DAY) }],
  ['a standby that keeps for ever', {}, forEver],
  ['a limit by size on the source only', { 'retention.bytes': '1000' }, {}],
  ['a standby that keeps what the source compacts', compact, forEver],
  ['a compacted topic on both sides, whatever its retention', { ...compact, ...forEver }, compact],
  ['a source that compacts and deletes', { 'cleanup.policy': 'compact,delete' }, compact],
  ['a longer compaction lag', compact, { ...compact, 'min.compaction.lag.ms': '5' }],
  ['a compaction lag of a topic that is not compacted', { 'min.compaction.lag.ms': '5' }, {}],
  ['larger batches', {}, { 'max.message.bytes': '2000000' }],
  ['a source that stamps its records', { 'message.timestamp.type': 'LogAppendTime' }, {}],
  [
    'a source that stamps its records and has no limit',
    { 'message.timestamp.type': 'LogAppendTime', 'message.timestamp.after.max.ms': unlimited },
    {},
  ],
  ['more replicas', {}, { 'min.insync.replicas': '2' }],
  ['a policy without a limit', { ...forEver, 'cleanup.policy': '' }, forEver],
])('nothing is lost with %s', (_what, source, standby) => {
  expect(compare(source, standby)).toEqual([])
})

test.each<[string, Some, Some]>([
  ['retention.ms', forEver, {}],
  ['retention.ms', { 'retention.ms': String(8 * DAY) }, {}],
  ['retention.bytes', {}, { 'retention.bytes': '1000000' }],
  ['retention.bytes', { 'retention.bytes': '1000001' }, { 'retention.bytes': '1000000' }],
  ['cleanup.policy', compact, {}],
  ['cleanup.policy', compact, { 'cleanup.policy': 'compact,delete' }],
  ['cleanup.policy', {}, compact],
  ['cleanup.policy', {}, { 'cleanup.policy': 'delete,compact' }],
  ['cleanup.policy', { 'cleanup.policy': '' }, {}],
  ['delete.retention.ms', compact, { ...compact, 'delete.retention.ms': '5' }],
  ['min.compaction.lag.ms', { ...compact, 'min.compaction.lag.ms': '5' }, compact],
  ['max.message.bytes', { 'max.message.bytes': '2000000' }, {}],
  ['message.timestamp.type', {}, { 'message.timestamp.type': 'LogAppendTime' }],
  [
    'message.timestamp.type',
    { 'message.timestamp.type': 'LogAppendTime' },
    { 'message.timestamp.type': 'LogAppendTime' },
  ],
  ['message.timestamp.before.max.ms', {}, { 'message.timestamp.before.max.ms': '1000' }],
  // The same limit on both sides: records are older when they are copied.
  [
    'message.timestamp.before.max.ms',
    { 'message.timestamp.before.max.ms': '1000' },
    { 'message.timestamp.before.max.ms': '1000' },
  ],
  ['message.timestamp.difference.max.ms', {}, { 'message.timestamp.difference.max.ms': '1000' }],
  ['message.timestamp.after.max.ms', { 'message.timestamp.after.max.ms': unlimited }, {}],
])('%s is named where only the standby loses by it: %j, %j', (setting, source, standby) => {
  const found = compare(source, standby)
  expect(found).toMatchObject([{ setting, severity: 'loses' }])
})

test.each<[string, Some, Some]>([
  ['min.insync.replicas', { 'min.insync.replicas': '2' }, {}],
  ['unclean.leader.election.enable', {}, { 'unclean.leader.election.enable': 'true' }],
])('%s puts records at risk, and loses none by itself', (setting, source, standby) => {
  expect(compare(source, standby)).toMatchObject([{ setting, severity: 'risks' }])
})

const at = { topic: 'orders', targetTopic: 'primary.orders', source: 'primary', target: 'standby' }
const textOf = (source: Some, standby: Some) =>
  compare(source, standby).map(each => lossySettingText(each, at))

test('the sentence about a lossy setting has both values, what is lost, and the command that mends it', () => {
  expect(textOf(forEver, {})).toEqual([
    'standby topic primary.orders on standby has retention.ms=604800000 (7 days), topic orders on ' +
      'primary has retention.ms=-1 (for ever): the standby deletes records that the source keeps. ' +
      'To mend it: kafka-configs --bootstrap-server BROKERS-OF-standby --alter --entity-type topics ' +
      '--entity-name primary.orders --add-config retention.ms=-1',
  ])
})

test('a setting that follows the source names the command that mends all of them', () => {
  const [found] = compare({ 'retention.ms': '-1' }, { 'retention.ms': '1' })
  if (found === undefined) throw new Error('the example loses nothing')
  expect(lossySettingText(found, { ...at, isFollowed: true })).toMatch(/or now: gapless sync$/)
})

test('a list of policies is put into brackets, which kafka-configs asks for', () => {
  const both = { 'cleanup.policy': 'compact,delete', ...forEver }
  const [policy] = textOf({ 'cleanup.policy': 'delete' }, both)
  expect(policy).toMatch(/--add-config cleanup\.policy=delete$/)
  const [retention] = textOf(both, { ...both, 'retention.ms': '5' })
  expect(retention).toMatch(/--add-config retention\.ms=-1$/)
})

test('an answer without policy or retention cannot be compared', () => {
  expect(missingSettings(new Map([['retention.ms', '1']]))).toEqual([
    'cleanup.policy',
    'retention.bytes',
  ])
  expect(missingSettings(new Map(Object.entries(kafkaDefaults)))).toEqual([])
})
