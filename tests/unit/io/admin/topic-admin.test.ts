// How the administration of topics reads a controller's responses. The requests themselves are
// tested on real brokers (tests/integration/cli.test.ts, security.test.ts, hung-broker.test.ts).

import type { Connection } from '@platformatic/kafka'
import { expect, test } from 'vitest'
import type { AdministeredCluster } from '../../../../lib/io/admin/admin-request.ts'
import { createTopicAdmin } from '../../../../lib/io/admin/topic-admin.ts'
import { BrokerFailure } from '../../../../lib/io/failure/broker-failure.ts'
import { errorCode } from '../../../../lib/kafka/error-codes.ts'

type Answer = {
  readonly error: keyof typeof errorCode
  readonly text?: string
  readonly ms?: number
}

/** A cluster whose controller answers from a script, and whose topic has 2 partitions. */
function clusterThat(...answers: readonly (Answer | BrokerFailure)[]) {
  const waitedMs: number[] = []
  let partitions = 2
  let sent = 0
  const connection = {
    send(...[, , , , , , callback]: Parameters<Connection['send']>) {
      const answer = answers[sent]
      sent += 1
      if (answer === undefined) throw new Error('more requests than answers')
      if (answer instanceof BrokerFailure) return callback(answer, undefined as never)
      const result = { errorCode: errorCode[answer.error], errorMessage: answer.text ?? null }
      const results = [{ ...result, name: 'orders' }]
      const response = { topics: results, results, responses: results }
      callback(null, { ...response, throttleTimeMs: answer.ms ?? 0 } as never)
    },
  } as unknown as Connection
  const cluster: AdministeredCluster = {
    name: 'standby',
    bootstrap: ['b1:9092', 'b2:9092'],
    identity: () => 'SASL SCRAM-SHA-512 as User:gapless',
    brokers: {
      onAny: request => request(connection),
      async onController(request, retryAfterMs) {
        while (true) {
          const response = await request(connection)
          const waitMs = retryAfterMs(response)
          if (waitMs === null || sent === answers.length) return response
          waitedMs.push(waitMs)
        }
      },
    },
    describeTopics: async () => [
      {
        ...{ kind: 'exists', name: 'orders', topicId: 'AAAAAAAAAAAAAAAAAAAAAA', isInternal: false },
        partitions: Array.from({ length: partitions }, (_, partition) => {
          return { partition, leaderId: partition, leaderEpoch: 0 }
        }),
      },
    ],
    listOffsets: async (_leader, _point, asked) =>
      asked.map(each => ({ ...each, answer: { kind: 'offset', offset: 0n } })),
  }
  const widen = (to: number) => {
    partitions = to
  }
  return { admin: createTopicAdmin(cluster), waitedMs, widen, cluster }
}

const orders = { name: 'orders', partitions: 2 }

test('creating a topic that exists already is no failure', async () => {
  const { admin } = clusterThat({ error: 'TOPIC_ALREADY_EXISTS', text: "Topic 'orders' exists." })
  expect(await admin.createTopic(orders)).toBe('exists')
})

test('widening a topic that another tick has widened meanwhile is no failure', async () => {
  const { admin, cluster, widen } = clusterThat({ error: 'INVALID_PARTITIONS' })
  const describe = cluster.describeTopics
  const racing = createTopicAdmin({
    ...cluster,
    async describeTopics(names) {
      const described = await describe(names)
      widen(3)
      return described
    },
  })
  expect(await racing.widenTopic({ ...orders, partitions: 3 })).toBe('wide-enough')
  expect(await admin.widenTopic({ ...orders, partitions: 3 })).toBe('wide-enough')
})

test('deleting a topic that is gone is no failure', async () => {
  const { admin } = clusterThat({ error: 'UNKNOWN_TOPIC_OR_PARTITION' })
  expect(await admin.deleteTopic('orders')).toBe('missing')
})

test('a change is sent again while no controller performs it, and after the wait that a quota asks for', async () => {
  const { admin, waitedMs } = clusterThat(
    { error: 'NOT_CONTROLLER' },
    { error: 'REQUEST_TIMED_OUT' },
    { error: 'THROTTLING_QUOTA_EXCEEDED', ms: 1_500 },
    { error: 'NONE' },
  )
  expect(await admin.createTopic(orders)).toBe('created')
  expect(waitedMs).toEqual([0, 0, 1_500])
})

const denied = ' by SASL SCRAM-SHA-512 as User:gapless'
const acls =
  'Allow the principal to Create, Alter, Delete, Describe and DescribeConfigs there (kafka-acls).'

test.each<[Answer, string, string, string]>([
  [
    { error: 'INVALID_REPLICATION_FACTOR', text: 'only 1 broker(s) are registered.' },
    'cluster-refused',
    ': INVALID_REPLICATION_FACTOR (only 1 broker(s) are registered).',
    "Start more brokers, or lower the cluster's default.replication.factor.",
  ],
  [
    { error: 'POLICY_VIOLATION', text: 'Topics need an owner' },
    'cluster-refused',
    ': POLICY_VIOLATION (Topics need an owner).',
    "The cluster's create.topic.policy refuses it: create the topic by hand.",
  ],
  [
    { error: 'TOPIC_AUTHORIZATION_FAILED', text: 'Authorization failed.' },
    'cluster-denied',
    `${denied}: TOPIC_AUTHORIZATION_FAILED (Authorization failed).`,
    acls,
  ],
  [
    { error: 'CLUSTER_AUTHORIZATION_FAILED' },
    'cluster-denied',
    `${denied}: CLUSTER_AUTHORIZATION_FAILED.`,
    acls,
  ],
  [
    { error: 'NOT_CONTROLLER' },
    'cluster-refused',
    ': NOT_CONTROLLER.',
    "Look into the broker's log.",
  ],
  [
    { error: 'THROTTLING_QUOTA_EXCEEDED', ms: 1_500 },
    'cluster-refused',
    ': THROTTLING_QUOTA_EXCEEDED.',
    'Raise controller_mutation_rate of this principal (kafka-configs), or wait: plan tries again.',
  ],
])(
  'a controller that answers %o becomes one line with what to do next',
  async (answer, code, said, hint) => {
    const { admin } = clusterThat(answer)
    await expect(admin.createTopic(orders)).rejects.toMatchObject({
      name: 'ReplicatorError',
      code,
      message: `Cluster standby: could not create topic orders with 2 partitions${said}`,
      hint,
    })
  },
)

test('a cluster that does not answer or refuses our credentials becomes one line that names the identity at most once', async () => {
  const failure = (reason: BrokerFailure['reason'], detail: string) =>
    clusterThat(new BrokerFailure({ reason, cluster: 'standby', detail })).admin.createTopic(orders)
  await expect(
    failure('unreachable', "broker b1:9092: the broker's certificate has expired"),
  ).rejects.toMatchObject({
    code: 'cluster-unreachable',
    message:
      'Cluster standby: could not create topic orders with 2 partitions: broker b1:9092: ' +
      "the broker's certificate has expired.",
    hint: 'Check that a Kafka broker answers at b1:9092, b2:9092.',
  })
  const refused = 'broker b1:9092: SASL SCRAM-SHA-512 as User:gapless was refused: wrong password'
  await expect(failure('authorization-denied', refused)).rejects.toMatchObject({
    code: 'cluster-denied',
    message: `Cluster standby: could not create topic orders with 2 partitions: ${refused}.`,
  })
  const unreadable = 'SSM parameter /p cannot be read: AWS answered AccessDeniedException'
  await expect(failure('authorization-denied', unreadable)).rejects.toMatchObject({
    code: 'cluster-denied',
    message: `Cluster standby: could not create topic orders with 2 partitions${denied}: ${unreadable}.`,
    hint: 'Check sasl and tls of this cluster in the configuration.',
  })
})
