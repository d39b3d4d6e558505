// Which groups a flow has, and what is said of those that cannot follow whole.

import { describe, expect, test } from 'vitest'
import { commitRefusedText, readRefusedText } from '../../../../lib/core/sync/group-refusal.ts'
import {
  internalTopicsText,
  namedGroups,
  selectsGroup,
  unsyncedTypeText,
} from '../../../../lib/core/sync/group-selection.ts'
import { flowOf } from '../../../support/worlds/parsed-flow.ts'

describe('the groups of a flow', () => {
  test('are all but those of tools, of Kafka Connect and of Kafka itself, as in MirrorMaker 2', () => {
    const flow = flowOf()
    const all = [
      'orders',
      'a.b',
      '',
      'console-consumer-12',
      'connect-sink',
      '__group',
      'my-connect',
    ]
    expect(all.filter(each => selectsGroup(flow, each))).toEqual([
      'orders',
      'a.b',
      '',
      'my-connect',
    ])
  })

  test('are named, or matched, unless they are excluded in the same way', () => {
    const flow = flowOf({
      groups: ['/pay-.*/', 'orders', 'left', '/__x./'],
      excludeGroups: ['/.*-test/', 'left'],
    })
    const all = ['pay-1', 'pay-test', 'orders', 'orders2', 'left', '__x1']
    expect(all.filter(each => selectsGroup(flow, each))).toEqual(['pay-1', 'orders', '__x1'])
    expect(namedGroups(flow)).toEqual(['orders'])
  })
})

test('a share group is named with the reason, and every other type follows', () => {
  expect(unsyncedTypeText('share')).toContain('share.auto.offset.reset')
  for (const type of ['classic', 'consumer', 'streams', 'unknown', '']) {
    expect(unsyncedTypeText(type)).toBe(null)
  }
})

describe('the internal topics of a Kafka Streams application', () => {
  const topics = [
    'app-count-changelog',
    'app-by-key-repartition',
    'app-orders',
    'other-x-changelog',
  ]

  test('are named where they do not travel under their own names', () => {
    const prefixed = flowOf({ topics: ['/.*/'], naming: 'prefix' })
    expect(internalTopicsText(prefixed, 'app', topics)).toContain(
      'app-count-changelog, app-by-key-repartition does not travel under its own name',
    )
    const partly = flowOf({ topics: ['/app-by.*/'], naming: 'identity' })
    const said = internalTopicsText(partly, 'app', topics)
    expect(said).toContain('app-count-changelog')
    expect(said).not.toContain('app-by-key-repartition')
  })

  test('are not spoken of where they do, and where the group has none', () => {
    const identity = flowOf({ topics: ['/.*/'], naming: 'identity' })
    expect(internalTopicsText(identity, 'app', topics)).toBe(null)
    expect(internalTopicsText(flowOf({ naming: 'prefix' }), 'orders', topics)).toBe(null)
  })
})

describe('a refusal', () => {
  const refusal = { group: 'orders', cluster: 'standby', principal: 'User:gapless' }

  test('of group rights says in one line what to grant, on which cluster and to whom', () => {
    const errorName = 'GROUP_AUTHORIZATION_FAILED'
    expect(readRefusedText({ ...refusal, cluster: 'primary', errorName })).toBe(
      'GROUP_AUTHORIZATION_FAILED on primary: grant Describe there: ' +
        "kafka-acls.sh --add --allow-principal User:gapless --operation Describe --group 'orders'",
    )
    expect(commitRefusedText({ ...refusal, topic: 't', errorName })).toContain(
      "--operation Read --group 'orders'",
    )
  })

  test('of another kind names the error', () => {
    expect(readRefusedText({ ...refusal, errorName: 'UNKNOWN' })).toContain('UNKNOWN')
    for (const errorName of [
      'TOPIC_AUTHORIZATION_FAILED',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'OFFSET_METADATA_TOO_LARGE',
      'UNKNOWN',
    ]) {
      expect(commitRefusedText({ ...refusal, topic: 'invoices', errorName })).toMatch(
        /standby.*|invoices/,
      )
    }
  })
})
