// The right that `fillers: markers` needs, on a real standby with an authorizer that allows exactly
// what docs/SECURITY.md lists: without it holes are filled by transactions, and both a run and
// `gapless status` say why; with it they are filled by markers, and both are silent.

import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import {
  removeStarted,
  startCluster,
  startStandInAws,
  type TestCluster,
} from '../../localstack/scratch/brokers.ts'
import { connectTo, createTopic, readLogEnds } from '../../localstack/scratch/topics.ts'
import {
  authority,
  grant,
  type SecureCluster,
  startSecureCluster,
} from '../support/kafka/secure-cluster.ts'
import { runGapless } from '../support/processes/command-line.ts'

const password = 'never-printed'

let folder: string
let env: Record<string, string>
let primary: TestCluster
let standby: SecureCluster

beforeAll(async () => {
  const [source, target, aws] = await Promise.all([
    startCluster('primary'),
    startSecureCluster('standby', { gapless: password }),
    startStandInAws(),
  ])
  primary = source
  standby = target
  folder = await mkdtemp(join(tmpdir(), 'gapless-markers-'))
  const file = join(folder, 'gapless.yml')
  const secure = {
    brokers: [standby.at('SECURE')],
    tls: { ca: authority.cert },
    sasl: { mechanism: 'scram-sha-512', username: 'gapless', password },
  }
  const keeps = { offsets: 'preserve', fillers: 'markers' }
  const config = {
    clusters: { primary: { brokers: primary.brokers.split(',') }, standby: secure },
    flows: [{ name: 'orders', from: 'primary', to: 'standby', topics: ['orders'], ...keeps }],
  }
  await writeFile(file, JSON.stringify(config))
  const table = `gapless-${randomUUID()}`
  env = { ...aws.env, GAPLESS_CONFIG: file, GAPLESS_TABLE: table }
  const client = createDynamoDbClient(env)
  await createTable(client, table)
  client.destroy()
})

afterAll(async () => {
  await removeStarted()
  await rm(folder, { recursive: true, force: true })
})

/** Six transactions of one record, of which two are aborted. */
async function transact(): Promise<void> {
  const producer = connectTo(primary).producer({
    ...{ transactionalId: 'writer', maxInFlightRequests: 1, idempotent: true },
  })
  await producer.connect()
  for (let nth = 0; nth < 6; nth += 1) {
    const transaction = await producer.transaction()
    await transaction.send({ topic: 'orders', messages: [{ value: `${nth}` }] })
    await (nth % 3 === 1 ? transaction.abort() : transaction.commit())
  }
  await producer.disconnect()
}

/** The lines of a run and of the status about markers. The logs end at the same offset then. */
async function copyAndAsk() {
  await transact()
  const run = await runGapless(['run', '--once'], { cwd: folder, env })
  expect(run).toMatchObject({ code: 0 })
  const status = await runGapless(['status', '--json'], { cwd: folder, env })
  const [flow] = JSON.parse(status.stdout).flows
  expect(flow.partitions).toMatchObject([{ lagRecords: '0', offsetDistance: '0' }])
  const [, end] = await readLogEnds(connectTo(primary), 'orders', 0)
  expect((await readLogEnds(standby.kafka, 'primary.orders', 0))[1]).toBe(end)
  const about = (texts: readonly string[]) => texts.filter(each => each.includes('WriteTxnMarkers'))
  return { said: about(run.stderr.split('\n')), warnings: about(flow.warnings) }
}

test('without Alter on the cluster holes are filled by transactions, and with it by markers', async () => {
  await createTopic(connectTo(primary), 'orders', { partitions: 1 })
  await grant(standby.kafka, 'User:gapless', [
    {
      ...{ on: 'prefix', name: 'primary.' },
      operations: [
        ...(['DESCRIBE', 'READ', 'WRITE', 'CREATE', 'ALTER', 'DELETE'] as const),
        ...(['DESCRIBE_CONFIGS', 'ALTER_CONFIGS'] as const),
      ],
    },
    { on: 'transactional-ids', name: 'gapless/', operations: ['DESCRIBE', 'WRITE'] },
  ])
  const refused =
    /takes no markers .*WriteTxnMarkers: CLUSTER_AUTHORIZATION_FAILED.*--operation Alter/
  expect(await copyAndAsk()).toEqual({
    said: [expect.stringMatching(refused)],
    warnings: [expect.stringMatching(refused)],
  })

  await grant(standby.kafka, 'User:gapless', [
    { on: 'cluster', name: 'kafka-cluster', operations: ['ALTER'] },
  ])
  expect(await copyAndAsk()).toEqual({ said: [], warnings: [] })
})
