// Clusters with TLS, SASL and ACLs, as real brokers have them: what a replicator with exactly the
// permissions of docs/SECURITY.md does, and what it says when one of them is missing. No failure
// may look like health, and none may show a secret.

import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FlowConfig, parseConfig } from '../../lib/core/config.ts'
import { createDynamoDbClient } from '../../lib/io/dynamodb-client.ts'
import { createIncidentStore } from '../../lib/io/incident-store.ts'
import { createTable } from '../../lib/io/table.ts'
import { openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/run-once.ts'
import { readFlowStatus } from '../../lib/run/status.ts'
import { removeStarted, startStandInAws } from '../support/brokers.ts'
import { createAuthority, createCertificate } from '../support/certificates.ts'
import { createTopic, produceBatches } from '../support/kafkajs-admin.ts'
import { readPartition } from '../support/kafkajs-reader.ts'
import { contentsOf, inChunks, records } from '../support/records.ts'
import {
  authority,
  grant,
  type ListenerName,
  type SecureCluster,
  startSecureCluster,
  unsignedToken,
} from '../support/secure-cluster.ts'

const canary = 'canary-8d0c5b1e'
const users = { gapless: `${canary}-right`, stranger: `${canary}-other` }
const table = 'gapless'

let primary: SecureCluster
let standby: SecureCluster
let client: ReturnType<typeof createDynamoDbClient>

beforeAll(async () => {
  process.env.JDK_JAVA_OPTIONS ??= '-XX:TieredStopAtLevel=1'
  const [one, other, aws] = await Promise.all([
    startSecureCluster('primary', users),
    startSecureCluster('standby', users),
    startStandInAws(),
  ])
  primary = one
  standby = other
  client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  for (const principal of ['User:gapless', 'User:CN=gapless']) {
    await grant(primary.kafka, principal, [
      { on: 'prefix', name: 'open-', operations: ['DESCRIBE', 'READ'] },
    ])
    await grant(standby.kafka, principal, [
      {
        on: 'prefix',
        name: 'primary.open-',
        operations: ['CREATE', 'DESCRIBE', 'READ', 'WRITE', 'ALTER'],
      },
      { on: 'transactional-ids', name: 'gapless/', operations: ['DESCRIBE', 'WRITE'] },
    ])
  }
})
afterAll(async () => {
  client?.destroy()
  await removeStarted()
})

const tls = { ca: authority.cert }
const scram = { mechanism: 'scram-sha-512', username: 'gapless', password: users.gapless }

type Access = { readonly at: ListenerName; readonly tls: unknown; readonly sasl?: unknown }

const good: Access = { at: 'SECURE', tls, sasl: scram }

let flows = 0

/** A flow of one topic between the clusters, each accessed in its way. */
function configured(topic: string, access: { primary?: Access; standby?: Access } = {}) {
  flows += 1
  const clusterOf = (cluster: SecureCluster, { at, ...security }: Access) => ({
    brokers: [cluster.at(at)],
    ...security,
  })
  const parsed = parseConfig({
    clusters: {
      primary: clusterOf(primary, access.primary ?? good),
      standby: clusterOf(standby, access.standby ?? good),
    },
    flows: [{ name: `flow-${flows}`, from: 'primary', to: 'standby', topics: [topic] }],
  })
  if (parsed.kind === 'invalid') throw new Error(inspect(parsed.problems))
  const [flow] = parsed.config.flows
  if (flow === undefined) throw new Error('a configuration without a flow')
  return { config: parsed.config, flow }
}

/** One run and the status after it: everything that anybody is told. */
async function run({
  config,
  flow,
}: {
  config: ReturnType<typeof configured>['config']
  flow: FlowConfig
}) {
  const lines: string[] = []
  const log = ({ text }: { text: string }) => lines.push(text)
  const opened = openFlow({ config, flow, client, table, log })
  try {
    const report = await runFlowOnce(opened.deps, flow, new AbortController().signal)
    const status = await readFlowStatus(opened.deps, flow)
    const { incidents } = await createIncidentStore(client, table).list(flow.name, 'all')
    const told = inspect({ lines, report, status, incidents }, { depth: null })
    return { report, lines, status, incidents, told }
  } finally {
    await opened.close()
  }
}

const all = records(0, 200)

async function fill(topic: string): Promise<void> {
  await createTopic(primary.kafka, topic, {})
  await produceBatches(primary.kafka, { topic, partition: 0 }, inChunks(all, 10))
}

const standbyHas = async (topic: string) =>
  contentsOf(await readPartition(standby.kafka, { topic: `primary.${topic}`, partition: 0 }))

describe('replicates with the permissions of docs/SECURITY.md', () => {
  const token = unsignedToken('gapless', 3_600_000)
  test.each<[string, Access]>([
    ['scram-sha-512', good],
    ['scram-sha-256', { ...good, sasl: { ...scram, mechanism: 'scram-sha-256' } }],
    ['plain', { ...good, sasl: { ...scram, mechanism: 'plain' } }],
    ['oauthbearer', { ...good, sasl: { mechanism: 'oauthbearer', token } }],
  ])('over TLS as the user of %s', async (name, access) => {
    const topic = `open-${name}`
    await fill(topic)

    const result = await run(configured(topic, { primary: access, standby: access }))

    expect(result.lines).toEqual([expect.stringContaining('Created standby topic')])
    expect(result.report.partitions.map(each => each.outcome)).toEqual(['drained'])
    expect(result.incidents).toEqual([])
    expect(await standbyHas(topic)).toEqual(all)
  })
})

type Told = Awaited<ReturnType<typeof run>>

/** Not healthy in any of the ways in which anybody could look at it, and no secret in any. */
function expectSilence({ report, status, told }: Told, outcome: 'unobserved' | 'none') {
  const outcomes = report.partitions.map(each => each.outcome)
  expect(outcomes).toEqual(outcome === 'none' ? [] : [outcome])
  expect(status.partitions.every(each => each.lagRecords === null)).toBe(true)
  expect(told).not.toContain(canary)
}

describe('ends in one clear line, never as healthy:', () => {
  beforeAll(async () => {
    await fill('open-to-some')
    await fill('closed')
  })

  const stranger = { mechanism: 'scram-sha-512', username: 'stranger', password: users.stranger }
  const wrong = { ...scram, password: `${canary}-wrong` }
  const elsewhere = createAuthority('somebody else')
  const refused = (mechanism: string, principal = ' as User:gapless') =>
    `SASL ${mechanism}${principal} was refused: `
  const rows: [string, Access, string, 'authorization-denied' | 'unreachable', string][] = [
    [
      'a wrong password (SCRAM)',
      { ...good, sasl: wrong },
      'open-to-some',
      'authorization-denied',
      `${refused('SCRAM-SHA-512')}Authentication failed during authentication due to invalid credentials`,
    ],
    [
      'a wrong password (PLAIN)',
      { ...good, sasl: { ...wrong, mechanism: 'plain' } },
      'open-to-some',
      'authorization-denied',
      `${refused('PLAIN')}Authentication failed: Invalid username or password`,
    ],
    [
      'an expired token',
      { ...good, sasl: { mechanism: 'oauthbearer', token: unsignedToken('gapless', -60_000) } },
      'open-to-some',
      'authorization-denied',
      `${refused('OAUTHBEARER')}the broker does not take the token (invalid_token)`,
    ],
    [
      'an expired certificate of the broker',
      { ...good, at: 'EXPIRED' },
      'open-to-some',
      'unreachable',
      "the broker's certificate has expired; renew it on the broker (CERT_HAS_EXPIRED)",
    ],
    [
      'an authority that we do not know',
      { ...good, tls: { ca: elsewhere.cert } },
      'open-to-some',
      'unreachable',
      'signed by none of the authorities trusted here; name its authority in tls.ca',
    ],
    [
      'no certificate of ours where one is asked for',
      { at: 'MUTUAL', tls },
      'open-to-some',
      'unreachable',
      'the broker asks for a certificate of ours; set tls.cert and tls.key',
    ],
    [
      'a certificate of ours from an authority that the broker does not know',
      { at: 'MUTUAL', tls: { ...tls, ...createCertificate(elsewhere, { name: 'gapless' }) } },
      'open-to-some',
      'unreachable',
      'the broker does not take our certificate; check tls.cert and tls.key',
    ],
    [
      'no TLS where the broker speaks it',
      { ...good, tls: false },
      'open-to-some',
      'unreachable',
      'Connection closed; check that tls and sasl are what its listener speaks',
    ],
    [
      'a missing ACL',
      { ...good, sasl: stranger },
      'open-to-some',
      'authorization-denied',
      'principal User:stranger, flow ',
    ],
  ]

  test.each(rows)('%s', async (_case, access, topic, reason, words) => {
    const { config, flow } = configured(topic, { primary: access })

    const result = await run({ config, flow })

    expectSilence(result, 'none')
    const start = reason === 'unreachable' ? 'Unreachable' : 'Not authorized'
    expect(result.lines).toEqual([
      expect.stringMatching(new RegExp(`^${start}: cluster primary, `)),
    ])
    expect(result.lines[0]).toContain(words)
    expect(result.incidents).toMatchObject([{ kind: reason, resolution: 'open' }])
  })
})
