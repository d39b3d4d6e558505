// `gapless drill failover` over TLS and SCRAM, with exactly the permissions that docs/FAILOVER.md
// lists, on brokers that allow nothing else.

import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { removeStarted, startStandInAws } from '../../localstack/scratch/brokers.ts'
import { withAdmin } from '../../localstack/scratch/topics.ts'
import {
  authority,
  type Grant,
  grant,
  type SecureCluster,
  startSecureCluster,
} from '../support/kafka/secure-cluster.ts'
import { type Ended, runGapless } from '../support/processes/command-line.ts'

const password = 'never-printed'

let folder: string
let env: Record<string, string>
let primary: SecureCluster
let standby: SecureCluster

beforeAll(async () => {
  const users = { gapless: password }
  const [one, other, aws] = await Promise.all([
    startSecureCluster('primary', users),
    startSecureCluster('standby', users),
    startStandInAws(),
  ])
  primary = one
  standby = other
  folder = await mkdtemp(join(tmpdir(), 'gapless-drill-'))
  const file = join(folder, 'gapless.yml')
  const clusterOf = (cluster: SecureCluster) => ({
    brokers: [cluster.at('SECURE')],
    tls: { ca: authority.cert },
    sasl: { mechanism: 'scram-sha-512', username: 'gapless', password },
  })
  const config = {
    clusters: { primary: clusterOf(primary), standby: clusterOf(standby) },
    flows: [{ name: 'orders', from: 'primary', to: 'standby', topics: ['orders'] }],
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

const drill = (): Promise<Ended> =>
  runGapless(['drill', 'failover', '--records', '60', '--yes', '--json'], { cwd: folder, env })

/** As docs/FAILOVER.md lists them; `topics` is the prefix of the scratch topic there. */
const grantsOf = (topics: string, more: Grant['operations']): readonly Grant[] => [
  {
    on: 'prefix',
    name: topics,
    operations: ['CREATE', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'READ', 'WRITE', 'DELETE', ...more],
  },
  { on: 'groups', name: 'gapless-drill-', operations: ['DESCRIBE', 'READ', 'DELETE'] },
  { on: 'transactional-ids', name: 'gapless/', operations: ['DESCRIBE', 'WRITE'] },
]

test('without rights the drill says so before it makes anything', async () => {
  const { code, stdout, stderr } = await drill()

  expect(stdout).toBe('')
  expect(stderr).toMatch(
    /^error: Cluster primary: not authorized to Describe the scratch topic __gapless-drill-\S+, and nothing was made\. Grant .*\n$/,
  )
  expect(stderr).not.toContain(password)
  expect(code).toBe(1)
})

test('the drill passes with the permissions of docs/FAILOVER.md, over TLS and SCRAM', async () => {
  await grant(primary.kafka, 'User:gapless', grantsOf('__gapless-drill-', []))
  await grant(standby.kafka, 'User:gapless', grantsOf('primary.__gapless-drill-', []))

  const { code, stdout, stderr } = await drill()

  const report = JSON.parse(stdout)
  expect(report.problems).toEqual([])
  expect(report).toMatchObject({ result: 'passed', left: [], leftovers: [] })
  expect(code).toBe(0)
  expect(stderr + stdout).not.toContain(password)
  for (const { kafka } of [primary, standby]) {
    const topics = await withAdmin(kafka, admin => admin.listTopics())
    expect(topics.filter(each => each.includes('gapless-drill-'))).toEqual([])
  }
})
