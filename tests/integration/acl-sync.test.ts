// ACLs of topics follow on real brokers that enforce them: an application may read on the standby
// what it may read on the source, and may write there only after a fail-over. Also a standby
// without an authorizer, and one that allows everything until the first ACL.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import { aclText } from '../../lib/core/acl.ts'
import { type Config, type FlowConfig, parseConfig } from '../../lib/core/config/config.ts'
import { aclsOf } from '../../lib/core/row/acl-row.ts'
import { createAclAdmin } from '../../lib/io/admin/acl-admin.ts'
import { openCluster } from '../../lib/io/cluster/cluster.ts'
import { createAclStore } from '../../lib/io/sync/acl-store.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { type SyncedAcls, syncAcls, syncedAclsLines } from '../../lib/run/follow/sync-acls.ts'
import { grantWithheld, withheldAcls, withholdAgain } from '../../lib/run/follow/withheld-acls.ts'
import { type OpenFlow, openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/operate/run-once.ts'
import { until } from '../../localstack/processes/until.ts'
import {
  removeStarted,
  type StandInAws,
  startCluster,
  startStandInAws,
  type TestCluster,
} from '../../localstack/scratch/brokers.ts'
import {
  createTopic,
  deleteTopic,
  produceBatches,
  withAdmin,
} from '../../localstack/scratch/topics.ts'
import { aclProperties } from '../support/kafka/acls.ts'
import { records } from '../support/kafka/records.ts'
import {
  authority,
  createScramUser,
  grant,
  type SecureCluster,
  startSecureCluster,
} from '../support/kafka/secure-cluster.ts'

const users = { gapless: 'replicates', app: 'applies', audit: 'reads' }
const table = 'gapless'

let primary: SecureCluster
let standby: SecureCluster
let open: TestCluster
let aws: StandInAws
let client: ReturnType<typeof createDynamoDbClient>

const {
  AclOperationTypes: Operation,
  AclPermissionTypes: Permission,
  AclResourceTypes: Resource,
  ResourcePatternTypes: Pattern,
} = kafkajs

beforeAll(async () => {
  const [one, other, free, standIn] = await Promise.all([
    startSecureCluster('primary', users),
    startSecureCluster('standby', users),
    startCluster('open', { properties: aclProperties }),
    startStandInAws(),
  ])
  primary = one
  standby = other
  open = free
  aws = standIn
  client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  await grant(primary.kafka, 'User:gapless', [
    { on: 'prefix', name: 'acl-', operations: ['DESCRIBE', 'DESCRIBE_CONFIGS', 'READ'] },
  ])
  await grant(standby.kafka, 'User:gapless', [
    {
      on: 'prefix',
      name: 'primary.acl-',
      operations: ['CREATE', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'READ', 'WRITE', 'ALTER'],
    },
    { on: 'transactional-ids', name: 'gapless/', operations: ['DESCRIBE', 'WRITE'] },
  ])
})
afterAll(async () => {
  client?.destroy()
  await removeStarted()
})

/** Rights on the cluster, which sync needs for ACLs and nothing else does. */
async function onCluster(at: SecureCluster, operations: readonly ('DESCRIBE' | 'ALTER')[]) {
  const on = {
    resourceType: Resource.CLUSTER,
    resourceName: 'kafka-cluster',
    resourcePatternType: Pattern.LITERAL,
  }
  const acl = operations.map(operation => ({
    ...on,
    principal: 'User:gapless',
    host: '*',
    operation: Operation[operation],
    permissionType: Permission.ALLOW,
  }))
  await withAdmin(at.kafka, admin => admin.createAcls({ acl }))
}

let flows = 0

function configured(
  topics: readonly string[],
  to: unknown = secured(standby),
  fields: Record<string, unknown> = {},
) {
  flows += 1
  const parsed = parseConfig({
    clusters: { primary: secured(primary), standby: to },
    flows: [
      {
        ...{ name: `flow-${flows}`, from: 'primary', to: 'standby', topics },
        ...{ sync: { acls: 'copy' }, ...fields },
      },
    ],
  })
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const [flow] = parsed.config.flows
  if (flow === undefined) throw new Error('a configuration without a flow')
  return { config: parsed.config, flow }
}

function secured(cluster: SecureCluster) {
  const sasl = { mechanism: 'scram-sha-512', username: 'gapless', password: users.gapless }
  return { brokers: [cluster.at('SECURE')], tls: { ca: authority.cert }, sasl }
}

async function within<T>(
  { config, flow }: { readonly config: Config; readonly flow: FlowConfig },
  work: (opened: OpenFlow) => Promise<T>,
): Promise<T> {
  const opened = openFlow({ config, flow, client, table, log: () => undefined })
  try {
    return await work(opened)
  } finally {
    await opened.close()
  }
}

type Configured = ReturnType<typeof configured>

const replicate = (at: Configured) =>
  within(at, ({ deps }) => runFlowOnce(deps, at.flow, new AbortController().signal))

const sync = (at: Configured): Promise<SyncedAcls> =>
  within(at, ({ deps, following }) => syncAcls({ ...deps, ...following }, at.flow))

/** The ACLs of topics on the standby that begin with `primary.`, as an administrator lists them. */
async function standbyAcls(brokers: string = standby.cluster.brokers): Promise<string[]> {
  const config = { brokers: brokers.split(','), tls: false as const }
  const cluster = openCluster({ name: 'standby', config, requestTimeoutMs: 10_000 })
  try {
    const listed = await createAclAdmin(cluster).list()
    if (listed.kind !== 'listed') throw new Error(listed.kind)
    const texts = listed.topics.map(aclText)
    return texts.filter(each => each.includes('primary.') && !each.includes('User:gapless')).sort()
  } finally {
    await cluster.close()
  }
}

/** An application's client on the secured listener of the standby. */
function application(user: 'app' | 'audit') {
  return new kafkajs.Kafka({
    brokers: [standby.at('SECURE')],
    ssl: { ca: [authority.cert] },
    sasl: { mechanism: 'scram-sha-512', username: user, password: users[user] },
    retry: { retries: 0 },
    logLevel: kafkajs.logLevel.NOTHING,
  })
}

async function mayWrite(topic: string): Promise<boolean> {
  const producer = application('app').producer({ retry: { retries: 0 } })
  await producer.connect()
  try {
    await producer.send({ topic, messages: [{ value: 'by an application' }] })
    return true
  } catch {
    // Each refusal is an answer here; that it is one for lack of a right shows when it is granted.
    return false
  } finally {
    await producer.disconnect()
  }
}

async function mayRead(user: 'app' | 'audit', topic: string): Promise<boolean> {
  const admin = application(user).admin()
  await admin.connect()
  try {
    return (await admin.fetchTopicOffsets(topic)).length > 0
  } catch {
    // As above.
    return false
  } finally {
    await admin.disconnect()
  }
}

async function topicWithRecords(topic: string): Promise<void> {
  await createTopic(primary.kafka, topic, {})
  await produceBatches(primary.kafka, { topic, partition: 0 }, [records(0, 3)])
}

test('rights to read arrive, the right to write waits for a fail-over, and what vanished at the source goes', async () => {
  const at = configured(['/acl-.*/'])
  await topicWithRecords('acl-orders')
  expect((await replicate(at)).partitions.map(each => each.outcome)).toEqual(['drained'])
  await grant(primary.kafka, 'User:app', [{ on: 'topic', name: 'acl-orders', operations: ['ALL'] }])
  await grant(primary.kafka, 'User:audit', [{ on: 'prefix', name: 'acl-', operations: ['READ'] }])
  // The standby has an ACL of somebody else.
  await grant(standby.kafka, 'User:audit', [
    { on: 'topic', name: 'primary.acl-orders', operations: ['DESCRIBE_CONFIGS'] },
  ])

  // Without rights on the cluster: a sentence for each side, and no failure.
  expect((await sync(at)).unknown).toEqual([
    expect.stringMatching(/^primary does not list its ACLs: CLUSTER_AUTHORIZATION_FAILED/),
    expect.stringMatching(/^standby does not list its ACLs: CLUSTER_AUTHORIZATION_FAILED/),
  ])
  await onCluster(primary, ['DESCRIBE'])
  await onCluster(standby, ['DESCRIBE'])
  const refused = await sync(at)
  expect(refused.created).toEqual([])
  expect(refused.refused[0]?.reason).toMatch(/CLUSTER_AUTHORIZATION_FAILED.*Alter on the cluster/)
  await onCluster(standby, ['ALTER'])
  const copied = await sync(at)

  expect(copied.refused).toEqual([])
  expect(copied.withheld.map(aclText)).toEqual([
    'ALLOW WRITE for User:app from * on topic primary.acl-orders',
  ])
  const all = await standbyAcls()
  expect(all).toContain('ALLOW READ for User:app from * on topic primary.acl-orders')
  expect(all).toContain('ALLOW READ for User:audit from * on topics with prefix primary.acl-')
  expect(all.filter(each => each.includes('WRITE'))).toEqual([])
  expect(syncedAclsLines(copied, at.flow).map(each => each.text)).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/ACLs were created on standby/),
      expect.stringMatching(/^1 ACLs are withheld until a fail-over/),
    ]),
  )
  await until('the application may read', () => mayRead('app', 'primary.acl-orders'))
  expect(await mayWrite('primary.acl-orders')).toBe(false)
  // Nothing is left to do.
  expect(await sync(at)).toMatchObject({ created: [], removed: [], refused: [] })

  await withAdmin(primary.kafka, admin =>
    admin.deleteAcls({
      filters: [
        {
          resourceType: Resource.TOPIC,
          resourceName: 'acl-',
          resourcePatternType: Pattern.PREFIXED,
          principal: 'User:audit',
          operation: Operation.ANY,
          permissionType: Permission.ANY,
        },
      ],
    }),
  )
  expect((await sync(at)).removed.map(aclText)).toEqual([
    'ALLOW READ for User:audit from * on topics with prefix primary.acl-',
  ])
  // That of somebody else stays.
  expect(await standbyAcls()).toContain(
    'ALLOW DESCRIBE_CONFIGS for User:audit from * on topic primary.acl-orders',
  )
})

test('a fail-over grants what was withheld, and a fail-back takes it away again, however often each is called', async () => {
  const at = configured(['acl-payments', 'acl-other'])
  await topicWithRecords('acl-payments')
  await topicWithRecords('acl-other')
  await grant(primary.kafka, 'User:app', [
    { on: 'prefix', name: 'acl-pay', operations: ['WRITE', 'DESCRIBE'] },
    { on: 'topic', name: 'acl-other', operations: ['WRITE'] },
  ])
  await replicate(at)
  await sync(at)
  const topic = 'primary.acl-payments'
  expect(await mayWrite(topic)).toBe(false)

  await within(at, async ({ deps, following }) => {
    const withheld = { ...deps, ...following }
    const expected = ['ALLOW WRITE for User:app from * on topic primary.acl-payments']
    expect((await withheldAcls(withheld, at.flow, ['acl-payments'])).map(aclText)).toEqual(expected)
    for (let call = 0; call < 2; call += 1) {
      const granted = await grantWithheld(withheld, at.flow, ['acl-payments'])
      expect(granted.granted.map(aclText)).toEqual(expected)
      expect([granted.refused, granted.present]).toEqual([[], []])
    }
    await until('the application may write', () => mayWrite(topic))
    // A tick that is still under way takes nothing away, and the other topic has not failed over.
    await sync(at)
    expect(await mayWrite(topic)).toBe(true)
    expect(await mayWrite('primary.acl-other')).toBe(false)
    expect((await withholdAgain(withheld, at.flow, ['acl-payments'])).withheld).toHaveLength(1)
    expect((await withholdAgain(withheld, at.flow, ['acl-payments'])).withheld).toEqual([])
    await until('the application may not write', async () => !(await mayWrite(topic)))
  })
})

test('what is granted stays while the flow leaves a topic alone, as it does after a fail-over', async () => {
  const at = configured(['acl-away', 'acl-near'])
  await topicWithRecords('acl-away')
  await topicWithRecords('acl-near')
  await grant(primary.kafka, 'User:app', [
    { on: 'topic', name: 'acl-away', operations: ['READ', 'WRITE'] },
  ])
  await replicate(at)
  expect((await sync(at)).created.length).toBeGreaterThan(0)
  const { exclude } = configured(['x'], { brokers: ['a:1'] }, { exclude: ['acl-away'] }).flow
  const without = { ...at, flow: { ...at.flow, exclude } }
  expect(await sync(without)).toMatchObject({ removed: [], refused: [] })
  expect(await standbyAcls()).toContain('ALLOW READ for User:app from * on topic primary.acl-away')
  await within(at, async ({ following }) => {
    const acls = await withheldAcls(following, at.flow, ['acl-away'])
    expect(acls.map(aclText)).toContain('ALLOW WRITE for User:app from * on topic primary.acl-away')
  })
})

test('a right to write that somebody else gave stays when gapless withholds again', async () => {
  const at = configured(['acl-foreign'])
  await topicWithRecords('acl-foreign')
  await grant(primary.kafka, 'User:app', [
    { on: 'topic', name: 'acl-foreign', operations: ['WRITE'] },
  ])
  await grant(standby.kafka, 'User:app', [
    { on: 'topic', name: 'primary.acl-foreign', operations: ['WRITE'] },
  ])
  await replicate(at)
  await sync(at)
  await within(at, async ({ deps, following }) => {
    const withheld = { ...deps, ...following }
    const granted = await grantWithheld(withheld, at.flow, ['acl-foreign'])
    expect([granted.granted.length, granted.present.length]).toEqual([0, 1])
    expect((await withholdAgain(withheld, at.flow, ['acl-foreign'])).withheld).toEqual([])
  })
  expect(await standbyAcls()).toContain(
    'ALLOW WRITE for User:app from * on topic primary.acl-foreign',
  )
})

test('users that only the source has are named, and so are ACLs of groups', async () => {
  const at = configured(['acl-orders'])
  await createScramUser(primary.cluster, 'late-hire', 'secret')
  await withAdmin(primary.kafka, admin =>
    admin.createAcls({
      acl: [
        {
          resourceType: Resource.GROUP,
          resourceName: 'readers',
          resourcePatternType: Pattern.LITERAL,
          principal: 'User:app',
          host: '*',
          operation: Operation.READ,
          permissionType: Permission.ALLOW,
        },
      ],
    }),
  )
  const { notCopied } = await sync(at)
  expect(notCopied).toContainEqual(
    expect.stringMatching(/^SCRAM users of primary that standby lacks: late-hire\./),
  )
  expect(notCopied).toContainEqual(expect.stringMatching(/GROUP 1 \(0\)/))
  // DescribeConfigs on the cluster was not granted.
  expect(notCopied).toContainEqual(expect.stringMatching(/^client quotas are not copied, and/))
})

test('a source that lists no ACL at all, or that is not the known cluster, takes nothing from the standby', async () => {
  const at = configured(['acl-kept', 'acl-gone'])
  await topicWithRecords('acl-kept')
  await replicate(at)
  await grant(primary.kafka, 'User:audit', [
    { on: 'topic', name: 'acl-kept', operations: ['READ'] },
  ])
  expect((await sync(at)).created).toHaveLength(1)
  // The source forgets the topic and the ACL: no topic proves any more which cluster this is.
  await withAdmin(primary.kafka, admin =>
    admin.deleteAcls({
      filters: [
        {
          resourceType: Resource.TOPIC,
          resourceName: 'acl-kept',
          resourcePatternType: Pattern.LITERAL,
          operation: Operation.ANY,
          permissionType: Permission.ANY,
        },
      ],
    }),
  )
  await deleteTopic(primary.kafka, 'acl-kept')
  expect(await sync(at)).toMatchObject({ removed: [] })
  expect(await standbyAcls()).toContain(
    'ALLOW READ for User:audit from * on topic primary.acl-kept',
  )
})

test('a standby that allows everything until the first ACL keeps it: gapless would lose its own right', async () => {
  const at = configured(['acl-open'], { brokers: open.brokers.split(','), tls: false })
  await topicWithRecords('acl-open')
  await replicate(at)
  await grant(primary.kafka, 'User:app', [{ on: 'topic', name: 'acl-open', operations: ['READ'] }])
  const synced = await sync(at)
  expect(synced.created).toEqual([])
  expect(synced.refused).toEqual([
    { acl: expect.anything(), reason: expect.stringContaining('allow.everyone.if.no.acl.found') },
  ])
  expect(await standbyAcls(open.brokers)).toEqual([])
  const rows = await createAclStore(client, table).list(at.flow.name)
  expect(aclsOf(rows, 'aclCopied')).toEqual([])
  // Copying goes on.
  await produceBatches(primary.kafka, { topic: 'acl-open', partition: 0 }, [records(3, 3)])
  expect((await replicate(at)).partitions.map(each => each.outcome)).toEqual(['drained'])
})

test('a standby without an authorizer is named once, and it is no failure', async () => {
  const plain = await startCluster('plain')
  const at = configured(['acl-orders'], { brokers: plain.brokers.split(','), tls: false })
  expect(await sync(at)).toMatchObject({
    unknown: ['standby has no authorizer (SECURITY_DISABLED), so there are no ACLs to compare'],
    created: [],
  })
})
