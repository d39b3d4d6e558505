// Creating a standby topic with configs of which the standby refuses some.

import { expect, test } from 'vitest'
import { refusedConfigsMax } from '../../../../lib/core/config/defaults.ts'
import { brokerRefusal, clusterError } from '../../../../lib/io/failure/cluster-error.ts'
import { createStandbyTopic } from '../../../../lib/run/plan/create-standby-topic.ts'

type Configs = Readonly<Record<string, string>>

const wanted: Configs = {
  'cleanup.policy': 'compact',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'segment.bytes': '16384',
  'message.timestamp.after.max.ms': '9223372036854775807',
}

/** Creates the topic on a standby that answers each attempt with an error, or takes it (null). */
async function createOn(
  answer: (configs: Configs) => readonly [error: string, text: string] | null,
  configs = wanted,
) {
  const attempts: Configs[] = []
  const createTopic = async (input: { readonly configs?: Configs }) => {
    attempts.push(input.configs ?? {})
    const refused = answer(input.configs ?? {})
    if (refused === null) return 'created' as const
    throw clusterError({
      failure: brokerRefusal(...refused),
      where: 'Cluster standby',
      operation: 'create topic primary.orders with 3 partitions',
      brokers: ['b1:9092'],
    })
  }
  const topic = { name: 'primary.orders', partitions: 3, configs }
  const created = createStandbyTopic({ createTopic }, topic)
  return { warnings: await created, attempts, created: attempts.at(-1) }
}

test('a standby that takes all configs is asked once, and says nothing', async () => {
  const { warnings, attempts } = await createOn(() => null)
  expect(attempts).toEqual([wanted])
  expect(warnings).toEqual([])
})

test('configs that the standby refuses by name are left out one after the other, each with a warning', async () => {
  const { warnings, created } = await createOn(configs => {
    if ('message.timestamp.after.max.ms' in configs) {
      return ['INVALID_CONFIG', 'Unknown topic config name: message.timestamp.after.max.ms']
    }
    return 'segment.bytes' in configs
      ? ['INVALID_CONFIG', 'Invalid value 16384 for configuration segment.bytes: too small']
      : null
  })
  expect(created).toEqual({
    'cleanup.policy': 'compact',
    'retention.ms': '-1',
    'retention.bytes': '-1',
  })
  expect(warnings).toEqual([
    'standby topic primary.orders is created without ' +
      'message.timestamp.after.max.ms=9223372036854775807, which the standby refuses. Cluster standby: ' +
      'could not create topic primary.orders with 3 partitions: INVALID_CONFIG (Unknown topic config ' +
      'name: message.timestamp.after.max.ms).',
    expect.stringContaining('without segment.bytes=16384, which the standby refuses'),
  ])
})

test('a standby that does not name what it refuses gets the configs that keep records, and then none', async () => {
  const policy = ['POLICY_VIOLATION', 'not allowed here'] as const
  const keeping = await createOn(configs => ('segment.bytes' in configs ? policy : null))
  expect(Object.keys(keeping.created ?? {})).toEqual([
    'cleanup.policy',
    'retention.ms',
    'retention.bytes',
  ])
  const none = await createOn(configs => (Object.keys(configs).length > 0 ? policy : null))
  expect(none.created).toEqual({})
  expect(none.attempts).toHaveLength(3)
  expect(none.warnings.join('\n')).toContain(
    'created without cleanup.policy=compact, retention.ms=-1',
  )
})

test('a topic that is refused without any config is an error, whatever the configs', async () => {
  const refused = createOn(() => ['POLICY_VIOLATION', 'Topics need an owner'])
  await expect(refused).rejects.toMatchObject({ code: 'cluster-refused' })
})

test('a refusal that is not about configs is not tried again', async () => {
  let attempts = 0
  const refused = createOn(() => {
    attempts += 1
    return ['INVALID_REPLICATION_FACTOR', 'only 1 broker(s) are registered.']
  })
  await expect(refused).rejects.toMatchObject({ code: 'cluster-refused' })
  expect(attempts).toBe(1)
})

test('a standby that refuses one config after the other is asked a bounded number of times', async () => {
  const many = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`config.${index}x`, '1']),
  )
  const { attempts, created } = await createOn(
    configs => {
      const [first] = Object.keys(configs).filter(name => name.startsWith('config.'))
      return first === undefined ? null : ['INVALID_CONFIG', `Unknown topic config name: ${first}`]
    },
    { ...wanted, ...many },
  )
  expect(attempts.length).toBeLessThanOrEqual(refusedConfigsMax + 2)
  expect(created).toMatchObject({ 'retention.ms': '-1' })
})
