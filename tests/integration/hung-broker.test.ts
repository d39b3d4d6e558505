// A bootstrap address, listed first, that accepts connections and never answers: a broker whose
// process is frozen, or a load balancer without a healthy broker.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConfig } from '../../lib/core/config/config.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/operate/run-once.ts'
import { records } from '../support/kafka/records.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

const accepted: Socket[] = []

let world: SharedFlowFixture
let client: ReturnType<typeof createDynamoDbClient>
let hung: Server

beforeAll(async () => {
  world = await openSharedFixture()
  client = createDynamoDbClient(world.aws.env)
  hung = createServer(socket => accepted.push(socket)).listen(0, '127.0.0.1')
  await once(hung, 'listening')
})
afterAll(async () => {
  await world?.disconnect()
  client?.destroy()
  for (const socket of accepted) socket.destroy()
  hung?.close()
})

test('a standby topic is created and copied to although the first bootstrap address accepts connections and never answers', async () => {
  const all = records(0, 100)
  await world.createTopic('hung-broker.orders', { partitions: 2 })
  await world.produceInBatches('hung-broker.orders', all, { partition: 1 })
  const hungAddress = `127.0.0.1:${(hung.address() as AddressInfo).port}`
  const parsed = parseConfig({
    clusters: {
      primary: { brokers: [world.source.brokers] },
      standby: { brokers: [hungAddress, world.target.brokers] },
    },
    flows: [
      {
        ...{ name: 'one-way', from: 'primary', to: 'standby', topics: ['hung-broker.orders'] },
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
  const opened = openFlow({ config, flow, client, table: world.table, log })

  const report = await runFlowOnce(opened.deps, flow, new AbortController().signal)
  await opened.close()

  expect(lines).toEqual(['Created standby topic primary.hung-broker.orders: 2 partitions.'])
  expect(report.partitions.map(each => each.outcome)).toEqual(['drained', 'drained'])
  expect(await world.readStandby('hung-broker.orders', 1)).toEqual(all)
  expect(accepted.length).toBeGreaterThan(0)
})
