// Real clusters with TLS, SASL and ACLs: a replicator with exactly the permissions of
// docs/SECURITY.md replicates, and names a missing one. No failure may look healthy, and none may
// show a secret.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type FlowConfig, parseConfig } from '../../lib/core/config/config.ts'
import { createTopicAdmin } from '../../lib/io/admin/topic-admin.ts'
import { openCluster } from '../../lib/io/cluster/cluster.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createIncidentStore } from '../../lib/io/table/incident-store.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/operate/run-once.ts'
import { readFlowStatus } from '../../lib/run/operate/status.ts'
import { replicateAndReport } from '../../lib/run/replicate/replicate.ts'
import { until } from '../../localstack/processes/until.ts'
import {
  removeStarted,
  type StandInAws,
  startStandInAws,
} from '../../localstack/scratch/brokers.ts'
import { createTopic, produceBatches } from '../../localstack/scratch/topics.ts'
import { type StandInSecrets, startStandInSecrets } from '../support/doubles/stand-in-secrets.ts'
import { startTokenEndpoint, type TokenEndpoint } from '../support/doubles/token-endpoint.ts'
import { createAuthority, createCertificate } from '../support/kafka/certificates.ts'
import { readPartition } from '../support/kafka/kafkajs-reader.ts'
import { contentsOf, inChunks, records } from '../support/kafka/records.ts'
import {
  authority,
  briefSessionMs,
  grant,
  type ListenerName,
  type SecureCluster,
  startSecureCluster,
  unsignedToken,
} from '../support/kafka/secure-cluster.ts'
import { runGapless } from '../support/processes/command-line.ts'
import { claimOf } from '../support/worlds/claim.ts'

const canary = 'canary-8d0c5b1e'
const users = { gapless: `${canary}-right`, stranger: `${canary}-other` }
const table = 'gapless'

let primary: SecureCluster
let standby: SecureCluster
let aws: StandInAws
let client: ReturnType<typeof createDynamoDbClient>

beforeAll(async () => {
  process.env.JDK_JAVA_OPTIONS ??= '-XX:TieredStopAtLevel=1'
  const [one, other, standIn] = await Promise.all([
    startSecureCluster('primary', users),
    startSecureCluster('standby', users),
    startStandInAws(),
  ])
  primary = one
  standby = other
  aws = standIn
  client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  for (const principal of ['User:gapless', 'User:CN=gapless']) {
    await grant(primary.kafka, principal, [
      { on: 'prefix', name: 'open-', operations: ['DESCRIBE', 'DESCRIBE_CONFIGS', 'READ'] },
    ])
    await grant(standby.kafka, principal, [
      {
        on: 'prefix',
        name: 'primary.open-',
        operations: ['CREATE', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'READ', 'WRITE', 'ALTER'],
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

const ourCertificate = createCertificate(authority, { name: 'gapless' })

type Access = { readonly at: ListenerName; readonly tls: unknown; readonly sasl?: unknown }

const good: Access = { at: 'SECURE', tls, sasl: scram }

let flows = 0

/** A flow of one topic between the clusters, each with its own access. */
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

/** One run and the status after it, with all texts of both. */
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

describe('a flow replicates with the permissions of docs/SECURITY.md', () => {
  const token = unsignedToken('gapless', 3_600_000)
  test.each<[string, Access]>([
    ['scram-sha-512', good],
    ['scram-sha-256', { ...good, sasl: { ...scram, mechanism: 'scram-sha-256' } }],
    ['plain', { ...good, sasl: { ...scram, mechanism: 'plain' } }],
    ['oauthbearer', { ...good, sasl: { mechanism: 'oauthbearer', token } }],
    ['certificate', { at: 'MUTUAL', tls: { ...tls, ...ourCertificate } }],
  ])('a flow replicates over TLS as the user of %s', async (name, access) => {
    const topic = `open-${name}`
    await fill(topic)

    const result = await run(configured(topic, { primary: access, standby: access }))

    expect(result.lines).toEqual([expect.stringContaining('Created standby topic')])
    expect(result.report.warnings).toEqual([])
    expect(result.report.partitions.map(each => each.outcome)).toEqual(['drained'])
    expect(result.incidents).toEqual([])
    expect(await standbyHas(topic)).toEqual(all)
  })
})

describe('sessions that the broker limits', () => {
  /** Counts all connections to these brokers, of any client, on their listeners. */
  const countConnections = (brokers: readonly string[]) => {
    const ports = brokers.map(each => Number(each.split(':').at(-1)))
    let opened = 0
    const observer = new PerformanceObserver(list => {
      const entries = list.getEntries() as (PerformanceEntry & { detail?: { port?: number } })[]
      opened += entries.filter(({ detail }) => ports.includes(detail?.port ?? 0)).length
    })
    observer.observe({ entryTypes: ['net'] })
    return { opened: () => opened, end: () => observer.disconnect() }
  }

  test.each([
    ['connections.max.reauth.ms', () => ({ access: { ...good, at: 'BRIEF' as const }, end() {} })],
    [
      'the life of a token, which is fetched anew',
      async () => {
        const client = { id: 'gapless-client', secret: `${canary}-client` }
        const endpoint = await startTokenEndpoint({
          ...client,
          subject: 'gapless',
          lifeMs: briefSessionMs,
        })
        const token = { url: endpoint.url, clientId: client.id, clientSecret: client.secret }
        return {
          access: { ...good, sasl: { mechanism: 'oauthbearer', token } },
          end() {
            expect(endpoint.given()).toBeGreaterThan(2)
            endpoint.close()
          },
        }
      },
    ],
  ])(
    'a session that the broker limits is replaced without a failure or a lost record: %s',
    async (name, prepare) => {
      const topic = `open-brief-${name.length}`
      const { access, end } = await prepare()
      await createTopic(primary.kafka, topic, {})
      const configuration = configured(topic, { primary: access, standby: access })
      await run(configuration)
      const { config, flow } = configuration
      const opened = openFlow({ config, flow, client, table, log: () => undefined })
      const brokers = Object.values(config.clusters).flatMap(each => each.brokers)
      const connections = countConnections(brokers)
      const interruption = new AbortController()
      const sent: ReturnType<typeof records> = []

      const running = replicateAndReport(opened.deps, {
        flow,
        partitions: [{ topic, partition: 0, topicIsKnown: true }],
        deadlineMs: Date.now() + 60_000,
        claim: claimOf(opened.deps.owner),
        isContinuous: true,
        interrupted: interruption.signal,
      })
      // Four connections at first: one for control and one for data, to each cluster.
      await until('connections were replaced', async () => {
        const batch = records(sent.length, 10)
        await produceBatches(primary.kafka, { topic, partition: 0 }, [batch])
        sent.push(...batch)
        return connections.opened() >= 9
      })
      interruption.abort()
      const report = await running
      await opened.close()
      connections.end()
      const last = await run(configuration)

      expect(report.partitions).toMatchObject([{ outcome: 'deadline', detail: null }])
      expect([report.observationFailures, report.failures]).toEqual([[], []])
      expect(last.incidents).toEqual([])
      expect(await standbyHas(topic)).toEqual(sent)
      end()
    },
  )

  test('the client that creates topics renews a session that the broker limits', async () => {
    const { config } = configured('open-prolonged', { standby: { ...good, at: 'BRIEF' } })
    const cluster = openStandby(config)
    const admin = createTopicAdmin(cluster)
    const startMs = Date.now()
    try {
      let partitions = 0
      await until('a session has ended', async () => {
        partitions += 1
        const name = 'primary.open-prolonged'
        if (partitions === 1) await admin.createTopic({ name, partitions })
        else expect(await admin.widenTopic({ name, partitions })).toBe('widened')
        return Date.now() - startMs > briefSessionMs + 1_000
      })
    } finally {
      await cluster.close()
    }
  })
})

const openStandby = ({ clusters }: ReturnType<typeof configured>['config']) => {
  const { standby: found } = clusters
  if (found === undefined) throw new Error('a configuration without a standby')
  return openCluster({ name: 'standby', config: found, requestTimeoutMs: 15_000 })
}

type Told = Awaited<ReturnType<typeof run>>

/** Report, status and texts neither look healthy nor show a secret. */
function expectUnhealthy({ report, status, told }: Told, outcome: 'unobserved' | 'none') {
  const outcomes = report.partitions.map(each => each.outcome)
  expect(outcomes).toEqual(outcome === 'none' ? [] : [outcome])
  expect(status.partitions.every(each => each.lagRecords === null)).toBe(true)
  expect(told).not.toContain(canary)
}

describe('a connection that is refused ends in one clear line, never as healthy:', () => {
  beforeAll(async () => {
    await fill('open-to-some')
    await fill('closed')
  })

  const stranger = { mechanism: 'scram-sha-512', username: 'stranger', password: users.stranger }
  const wrong = { ...scram, password: `${canary}-wrong` }
  const elsewhere = createAuthority('somebody else')
  const refused = (mechanism: string, principal = ' as User:gapless') =>
    `SASL ${mechanism}${principal} was refused: `
  /** Creates a standby topic with the same access. */
  const createStandbyTopicOf = async (access: Access) => {
    const { config } = configured('open-to-some', { standby: access })
    const cluster = openStandby(config)
    const admin = createTopicAdmin(cluster)
    try {
      await admin.createTopic({ name: 'primary.nowhere', partitions: 1 })
      return null
    } catch (error) {
      return error
    } finally {
      await cluster.close()
    }
  }
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
      `${refused('OAUTHBEARER')}the broker does not accept the token (invalid_token)`,
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
      'the broker does not accept our certificate; check tls.cert and tls.key',
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

    expectUnhealthy(result, 'none')
    const start = reason === 'unreachable' ? 'Unreachable' : 'Not authorized'
    expect(result.lines).toEqual([
      expect.stringMatching(new RegExp(`^${start}: cluster primary, `)),
    ])
    expect(result.lines[0]).toContain(words)
    expect(result.incidents).toMatchObject([{ kind: reason, resolution: 'open' }])

    const refusal = await createStandbyTopicOf(access)

    expect(refusal).toMatchObject({
      name: 'ReplicatorError',
      code: reason === 'unreachable' ? 'cluster-unreachable' : 'cluster-denied',
    })
    expect(inspect(refusal, { depth: null })).not.toContain(canary)
  })
})

describe('secrets by reference', () => {
  let secrets: StandInSecrets
  let endpoint: TokenEndpoint
  let folder: string

  beforeAll(async () => {
    secrets = await startStandInSecrets()
    endpoint = await startTokenEndpoint({
      id: 'gapless',
      secret: `${canary}-client`,
      subject: 'gapless',
      lifeMs: briefSessionMs,
    })
    folder = await mkdtemp(join(tmpdir(), 'gapless-secrets-'))
    await fill('open-referred')
    secrets.values.set('kafka', JSON.stringify({ username: 'gapless', password: users.gapless }))
    secrets.values.set('/kafka/ca', authority.cert)
  })
  afterAll(async () => {
    secrets?.close()
    endpoint?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const referred = {
    mechanism: 'scram-sha-512',
    username: { secretsManager: 'kafka', key: 'username' },
    password: { secretsManager: 'kafka', key: 'password' },
  }
  const fromAws: Access = { at: 'SECURE', tls: { ca: { ssm: '/kafka/ca' } }, sasl: referred }

  /** The output of the command line with a configuration of references. */
  async function gapless(access: Access, ...args: string[]) {
    const { config, flow } = configured('open-referred', { primary: access, standby: fromAws })
    const file = join(folder, `${flow.name}.yml`)
    const { clusters } = config
    const flows = [{ name: flow.name, from: 'primary', to: 'standby', topics: ['open-referred'] }]
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ clusters, flows }))
    const env = { ...aws.env, ...secrets.env, GAPLESS_CONFIG: file, GAPLESS_DEBUG: '1' }
    return runGapless(args, { cwd: folder, env })
  }

  test('secrets are read when a connection is opened, by the command line as well', async () => {
    const { code, stdout, stderr } = await gapless(fromAws, 'run', '--once')

    expect(code, stderr).toBe(0)
    expect(await standbyHas('open-referred')).toEqual(all)
    expect(stdout + stderr).not.toContain(canary)
    expect(stdout + stderr).not.toContain('BEGIN CERTIFICATE')
    secrets.asked.clear()
    expect((await gapless(fromAws, 'incidents')).code).toBe(0)
    expect(secrets.asked.size).toBe(0)
  })

  const failures: [string, () => Access, string][] = [
    [
      'a secret that the role may not read',
      () => {
        secrets.denied.set('forbidden', `${canary} is not authorized to perform`)
        const password = { secretsManager: 'forbidden' }
        return { ...fromAws, sasl: { ...referred, password } }
      },
      'Secrets Manager secret forbidden cannot be read: AWS answered AccessDeniedException. Allow this role secretsmanager:GetSecretValue',
    ],
    [
      'a parameter that does not exist',
      () => ({ ...fromAws, sasl: { ...referred, password: { ssm: '/nowhere' } } }),
      'SSM parameter /nowhere cannot be read: AWS answered ParameterNotFound',
    ],
    [
      'a secret that is no JSON',
      () => {
        secrets.values.set('text', `${canary} text`)
        const password = { secretsManager: 'text', key: 'password' }
        return { ...fromAws, sasl: { ...referred, password } }
      },
      'Secrets Manager secret text (key password) cannot be read: it is no JSON',
    ],
    [
      'a certificate authority that is none',
      () => {
        secrets.values.set('/no-pem', `${canary} no PEM`)
        return { ...fromAws, tls: { ca: { ssm: '/no-pem' } } }
      },
      'the secret that tls.ca refers to is no PEM text',
    ],
    [
      'a key that is none',
      () => {
        const key = `-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----\n`
        secrets.values.set('/bad-key', key)
        const pems = { ...tls, cert: ourCertificate.cert, key: { ssm: '/bad-key' } }
        return { at: 'MUTUAL', tls: pems }
      },
      'OpenSSL does not accept tls.ca, tls.cert or tls.key (',
    ],
    [
      'a password that is wrong',
      () => {
        secrets.values.set('wrong', `${canary}-wrong`)
        return { ...fromAws, sasl: { ...referred, password: { secretsManager: 'wrong' } } }
      },
      // The user name is a reference, too.
      'SASL SCRAM-SHA-512 was refused: ',
    ],
    [
      'a token endpoint that does not know us',
      () => {
        const known = { url: endpoint.url, clientId: 'gapless', clientSecret: `${canary}-wrong` }
        return { ...fromAws, sasl: { mechanism: 'oauthbearer', token: known } }
      },
      'answered 401 invalid_client and no token',
    ],
  ]
  test.each(failures)(
    'a reference that fails ends in one line that shows no secret: %s',
    async (_case, prepare, words) => {
      for (const [name, value] of Object.entries(secrets.env)) vi.stubEnv(name, value)
      const { config, flow } = configured('open-referred', { primary: prepare(), standby: fromAws })

      const result = await run({ config, flow })

      vi.unstubAllEnvs()
      expectUnhealthy(result, 'none')
      expect(result.lines).toEqual([expect.stringContaining(words)])
      expect(result.lines[0]).toMatch(/^(?:Unreachable|Not authorized): cluster primary, /)
      expect(result.incidents).toMatchObject([
        { resolution: 'open', evidence: { cluster: 'primary' } },
      ])
    },
  )

  test('the command line shows no secret of a reference that fails, not even in a stack trace', async () => {
    secrets.values.set('text', `${canary} text`)
    const password = { secretsManager: 'text', key: 'password' }
    const access = { ...fromAws, sasl: { ...referred, password } }
    const commands = [['run', '--once'], ['status'], ['topics']]

    const ended = await Promise.all(commands.map(args => gapless(access, ...args)))

    for (const { code, stdout, stderr } of ended) {
      expect(code, stderr).toBe(1)
      expect(stdout + stderr).not.toContain(canary)
      expect(stdout + stderr).toContain('Secrets Manager secret text (key password) cannot be read')
    }
  })
})
