// The contract of owners that share a producer, on a real broker and its transaction coordinator.

import { addPartitionsToTxnV3, Connection } from '@platformatic/kafka'
import { afterAll, beforeAll, describe } from 'vitest'
import { type Cluster, openCluster } from '../../lib/io/cluster/cluster.ts'
import { sharedProducerContract } from '../support/contracts/shared-producer-contract.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture
let cluster: Cluster
let connection: Connection

beforeAll(async () => {
  world = await openSharedFixture()
  const brokers = world.target.brokers.split(',')
  const config = { brokers, tls: false }
  cluster = openCluster({ name: 'standby', config, requestTimeoutMs: 30_000 })
  connection = new Connection('shared-producer-test')
  const [host = '', port = ''] = (brokers[0] ?? '').split(':')
  await connection.connect(host, Number(port))
})

afterAll(async () => {
  await connection?.close()
  await cluster?.close()
  await world?.disconnect()
})

describe('a real cluster', () =>
  sharedProducerContract(async name => {
    const topic = `shared-producer.${name}`
    await world.createStandbyTopic(topic)
    return {
      cluster,
      topic,
      addPartition: async ({ transactionalId, producerId, producerEpoch, partition }) => {
        const topics = [{ name: topic, partitions: [partition] }]
        const transaction = {
          transactionalId,
          producerId,
          producerEpoch,
          verifyOnly: false,
          topics,
        }
        try {
          await addPartitionsToTxnV3.api.async(connection, [transaction])
          return 'decided'
        } catch {
          return 'fenced'
        }
      },
    }
  }))
