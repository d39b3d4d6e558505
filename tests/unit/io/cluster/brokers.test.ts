// Which broker is asked, by connections that record the address and answer from a script.

import type { Connection } from '@platformatic/kafka'
import { expect, test } from 'vitest'
import { type Brokers, createBrokers } from '../../../../lib/io/cluster/brokers.ts'
import type { Address } from '../../../../lib/io/cluster/connection.ts'
import { BrokerFailure } from '../../../../lib/io/failure/broker-failure.ts'

const METADATA = 3

/** `answers` has one entry per request that is no Metadata request; the last one repeats. */
function scripted(input: {
  readonly bootstrap: readonly string[]
  /** Addresses that do not answer. */
  readonly silent?: readonly string[]
  /** The controllers that Metadata names, one response after the other; the last one repeats. */
  readonly controllers?: readonly number[]
  readonly answers?: readonly (string | BrokerFailure)[]
}) {
  const { bootstrap, silent = [], controllers = [1], answers = ['done'] } = input
  const asked: string[] = []
  let metadata = 0
  let requests = 0
  let nowMs = 1_000
  const silence = (at: string) =>
    new BrokerFailure({
      reason: 'unreachable',
      cluster: 'standby',
      detail: `${at} does not answer`,
    })
  const connections = {
    async call<T>({ host, port }: Address, request: (on: Connection) => Promise<T>): Promise<T> {
      const at = `${host}:${port}`
      const on = {
        send(...[key, , , , , , callback]: Parameters<Connection['send']>) {
          if (key !== METADATA) throw new Error(`API ${key} is not part of this test`)
          asked.push(`metadata ${at}`)
          if (silent.includes(at)) return callback(silence(at), undefined as never)
          const controllerId = controllers[Math.min(metadata, controllers.length - 1)]
          metadata += 1
          const brokers = [1, 2].map(nodeId => ({ nodeId, host: 'broker', port: nodeId }))
          callback(null, { brokers, controllerId, topics: [] } as never)
        },
      }
      return request({ ...on, at } as unknown as Connection)
    },
    exchange: () => expect.unreachable(),
    close: async () => undefined,
  }
  const brokers: Brokers = createBrokers({
    cluster: 'standby',
    config: { brokers: [...bootstrap], tls: false },
    connections,
    clock: {
      nowMs: () => nowMs,
      async wait(ms) {
        nowMs += ms
      },
    },
  })
  const change = async (on: Connection) => {
    asked.push(`change ${(on as unknown as { at: string }).at}`)
    const answer = answers[Math.min(requests, answers.length - 1)]
    requests += 1
    if (answer instanceof BrokerFailure) throw answer
    return answer
  }
  return { brokers, asked, change }
}

const silentBroker = new BrokerFailure({
  reason: 'unreachable',
  cluster: 'standby',
  detail: 'broker:1 does not answer',
})

test('a bootstrap address that does not answer is passed over, and is not asked again once the brokers are known', async () => {
  const { brokers, asked } = scripted({
    bootstrap: ['hung:9092', 'up:9092'],
    silent: ['hung:9092'],
  })

  await brokers.readMetadata([])
  await brokers.readMetadata(['orders'])

  expect(asked).toEqual(['metadata hung:9092', 'metadata up:9092', 'metadata broker:1'])
})

test('a change is sent again to the controller of a newer Metadata response after NOT_CONTROLLER', async () => {
  const { brokers, asked, change } = scripted({
    bootstrap: ['up:9092'],
    controllers: [1, 2],
    answers: ['NOT_CONTROLLER', 'done'],
  })

  const answer = await brokers.onController(change, each => (each === 'NOT_CONTROLLER' ? 0 : null))

  expect(answer).toBe('done')
  expect(asked).toEqual([
    'metadata up:9092',
    'change broker:1',
    'metadata broker:1',
    'change broker:2',
  ])
})

test('a change is sent to another broker when the first does not answer', async () => {
  const { brokers, change } = scripted({
    bootstrap: ['up:9092'],
    controllers: [1, 2],
    answers: [silentBroker, 'done'],
  })
  expect(await brokers.onController(change, () => null)).toBe('done')
})

test('a change that no controller performs ends after 20 seconds, with the last response or failure', async () => {
  const refused = scripted({ bootstrap: ['up:9092'], answers: ['NOT_CONTROLLER'] })
  const silent = scripted({ bootstrap: ['up:9092'], answers: [silentBroker] })

  const answer = await refused.brokers.onController(refused.change, () => 1_000)
  const failed = silent.brokers.onController(silent.change, () => null)

  expect(answer).toBe('NOT_CONTROLLER')
  await expect(failed).rejects.toBe(silentBroker)
  // One attempt per second, as the response asked for, and none at or after the 20th.
  expect(refused.asked.filter(each => each.startsWith('change'))).toHaveLength(20)
  expect(silent.asked.filter(each => each.startsWith('change'))).toHaveLength(100)
})

test('a change is sent once when the broker refuses our credentials', async () => {
  const denied = new BrokerFailure({
    reason: 'authorization-denied',
    cluster: 'standby',
    detail: 'SASL PLAIN as User:gapless was refused',
  })
  const { brokers, asked, change } = scripted({ bootstrap: ['up:9092'], answers: [denied] })
  await expect(brokers.onController(change, () => null)).rejects.toBe(denied)
  expect(asked).toEqual(['metadata up:9092', 'change broker:1'])
})
