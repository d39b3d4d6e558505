import { expect, test } from 'vitest'
import { kafkaJsError, kafkaJsFailure } from '../../../../cli/kafkajs/kafkajs-failure.ts'
import { kafkajs } from '../../../../cli/kafkajs/load-kafkajs.ts'

const refused = new kafkajs.KafkaJSConnectionError(
  'Connection error: connect ECONNREFUSED 127.0.0.1:1',
  {
    code: 'ECONNREFUSED',
  },
)
const protocolError = (type: string) =>
  new kafkajs.KafkaJSProtocolError(Object.assign(new Error('Text of Kafka'), { type, code: 1 }))

test('A cluster that does not answer is unreachable, however deep kafkajs wraps the error', () => {
  const wrapped = new kafkajs.KafkaJSNumberOfRetriesExceeded(refused, {
    retryCount: 3,
    retryTime: 9,
  })
  expect(kafkaJsFailure(wrapped)).toEqual({
    kind: 'unreachable',
    errorName: null,
    detail: 'connect ECONNREFUSED 127.0.0.1:1',
  })
})

test('The error of a response keeps the name that Kafka gives it', () => {
  const inTopic = new kafkajs.KafkaJSAggregateError('Topic creation errors', [
    protocolError('INVALID_REPLICATION_FACTOR'),
  ])
  expect(kafkaJsFailure(inTopic)).toEqual({
    kind: 'refused',
    errorName: 'INVALID_REPLICATION_FACTOR',
    detail: 'INVALID_REPLICATION_FACTOR (Text of Kafka)',
  })
})

test.each([
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
])('An error of kafkajs with type %s is a denial', type => {
  expect(kafkaJsFailure(protocolError(type)).kind).toBe('denied')
})

test('An error of kafkajs becomes one line with place, operation and reason, and a hint', () => {
  const error = kafkaJsError({
    error: refused,
    where: 'Cluster standby',
    operation: 'create topic orders with 3 partitions',
    brokers: ['b1:9092', 'b2:9092'],
  })
  expect(error).toMatchObject({
    name: 'ReplicatorError',
    code: 'cluster-unreachable',
    message:
      'Cluster standby: could not create topic orders with 3 partitions: connect ECONNREFUSED 127.0.0.1:1.',
    hint: 'Check that a Kafka broker answers at b1:9092, b2:9092.',
  })
})
