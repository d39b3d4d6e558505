// A bootstrap address, listed first, that accepts connections and never answers: a broker whose
// process is frozen, or a load balancer without a healthy broker.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConfig } from '../../lib/core/config/config.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/operate/run-once.ts'
import {
  removeStarted,
  startCluster,
  startStandInAws,
  type TestCluster,
} from '../../localstack/scratch/brokers.ts'
import { connectTo, createTopic, produceBatches } from '../../localstack/scratch/topics.ts'
import { readPartition } from '../support/kafka/kafkajs-reader.ts'
import { contentsOf, inChunks, records } from '../support/kafka/records.ts'

const table = 'gapless'
const accepted: Socket[] = []

let primary: TestCluster
let standby: TestCluster
let client: ReturnType<typeof createDynamoDbClient>
let hung: Server

beforeAll(async () => {
  const [one, other, aws] = await Promise.all([
    startCluster('primary'),
    startCluster('standby'),
    startStandInAws(),
  ])
  primary = one
  standby = other
  client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  hung = createServer(socket => accepted.push(socket)).listen(0, '127.0.0.1')
  await once(hung, 'listening')
})
afterAll(async () => {
  client?.destroy()
  for (const socket of accepted) socket.destroy()
  hung?.close()
  await removeStarted()
})

test('a standby topic is created and copied to although the first bootstrap address accepts connections and never answers', async () => {
  const all = records(0, 100)
  const kafka = connectTo(primary)
  await createTopic(kafka, 'orders', { partitions: 2 })
  await produceBatches(kafka, { topic: 'orders', partition: 1 }, inChunks(all, 10))
  const hungAddress = `127.0.0.1:${(hung.address() as AddressInfo).port}`
  const parsed = parseConfig({
    clusters: {
      primary: { brokers: [primary.brokers] },
      standby: { brokers: [hungAddress, standby.brokers] },
    },
    flows: [
      {
        ...{ name: 'one-way', from: 'primary', to: 'standby', topics: ['orders'] },
        budgets: { requestTimeoutMs: 2_000 },
      },
    ],
  })
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const { config } = parsed
  const [flow] = config.flows
  if (flow === undefined) throw new Error('a configuration without a flow')
  const lines: string[] = []
  const log = ({ text }: { text: string }) => lines.push(text)
  const opened = openFlow({ config, flow, client, table, log })

  const report = await runFlowOnce(opened.deps, flow, new AbortController().signal)
  await opened.close()

  expect(lines).toEqual(['Created standby topic primary.orders: 2 partitions.'])
  expect(report.partitions.map(each => each.outcome)).toEqual(['drained', 'drained'])
  const copied = { topic: 'primary.orders', partition: 1 }
  expect(contentsOf(await readPartition(connectTo(standby), copied))).toEqual(all)
  expect(accepted.length).toBeGreaterThan(0)
})
