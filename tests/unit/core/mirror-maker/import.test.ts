import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { readConnectors } from '../../../../lib/core/mirror-maker/forms/connectors.ts'
import { readDedicated } from '../../../../lib/core/mirror-maker/forms/dedicated.ts'
import { importMirror } from '../../../../lib/core/mirror-maker/import.ts'

type Pairs = Record<string, string>

const two = {
  ...{ clusters: 'A, B', 'A.bootstrap.servers': 'a:1', 'B.bootstrap.servers': 'b:1' },
  'A->B.enabled': 'true',
}

const asProperties = (pairs: Pairs) =>
  Object.entries(pairs).map(([name, value]) => ({ name, value, origin: 'f' }))

function dedicated(pairs: Pairs) {
  const report = importMirror(readDedicated('f', asProperties({ ...two, ...pairs })), ['f'])
  return { ...report, document: parse(report.config) }
}

const flowOf = (pairs: Pairs) => dedicated(pairs).document.flows[0]

describe('which property counts in dedicated mode, as in MirrorMakerConfig', () => {
  test('one of a flow before one of all flows', () => {
    expect(flowOf({ topics: 'all' }).topics).toEqual(['all'])
    expect(flowOf({ topics: 'all', 'A->B.topics': 'own' }).topics).toEqual(['own'])
  })

  test('the client of the source cluster says where to begin; one of the target, or alone, does not', () => {
    const reset = (prefix: string) => flowOf({ [`${prefix}auto.offset.reset`]: 'latest' }).startFrom
    expect(['A.consumer.', 'A->B.consumer.', 'A->B.source.consumer.'].map(reset)).toEqual([
      ...['log-end', 'log-end', 'log-end'],
    ])
    expect(['B.consumer.', 'consumer.', 'A->B.target.consumer.'].map(reset)).toEqual([
      ...[undefined, undefined, undefined],
    ])
  })

  test('security without a cluster counts for each that has none of its own', () => {
    const { clusters } = dedicated({
      'security.protocol': 'SSL',
      'B.security.protocol': 'PLAINTEXT',
    }).document
    expect(clusters).toEqual({ A: { brokers: ['a:1'], tls: true }, B: { brokers: ['b:1'] } })
  })

  test('security that only the clients of a cluster have is taken from them', () => {
    const { clusters } = dedicated({
      'A.consumer.security.protocol': 'SSL',
      'B.producer.security.protocol': 'SSL',
      'B.consumer.security.protocol': 'PLAINTEXT',
    }).document
    expect([clusters.A.tls, clusters.B.tls]).toEqual([true, true])
  })

  test.each<[string, Pairs, string | undefined]>([
    ['by default', {}, 'mirror-maker'],
    ['off for all', { 'emit.heartbeats.enabled': 'false' }, undefined],
    ['off for the flow', { 'A->B.emit.heartbeats.enabled': 'false' }, undefined],
    [
      'off for the opposite pair, which writes them',
      { 'B->A.emit.heartbeats.enabled': 'false' },
      undefined,
    ],
    ['not copied', { 'heartbeats.replication.enabled': 'false' }, undefined],
  ])('heartbeats %s', (_case, pairs, heartbeats) => {
    expect(flowOf(pairs).sync?.heartbeats).toBe(heartbeats)
  })
})

describe('what is not left to chance', () => {
  test('a topic that came from the target is not copied back, also where its name is given', () => {
    expect(flowOf({ topics: 'B.orders, orders, B\\.x' }).topics).toEqual(['/B.orders/', 'orders'])
    const identity = { 'replication.policy.class': 'x.IdentityReplicationPolicy' }
    expect(flowOf({ ...identity, topics: 'B\\.x' }).topics).toEqual(['B.x'])
  })

  test('variables of the environment may be a part of an address', () => {
    const { document } = dedicated({ 'A.bootstrap.servers': `\${env:HOST}:9092,b-\${env:N}.x:1` })
    expect(document.clusters.A.brokers).toEqual([`\${HOST}:9092`, `b-\${N}.x:1`])
  })

  test('a text that looks like a variable stays a text', () => {
    const { document } = dedicated({
      ...{ 'A.security.protocol': 'SASL_SSL', 'A.sasl.mechanism': 'PLAIN' },
      'A.sasl.jaas.config': `m.P required username="\${user}" password="p";`,
    })
    expect(document.clusters.A.sasl.username).toBe(`$\${user}`)
  })

  test('two identities for one cluster are a decision, and the first one is taken', () => {
    const connector = (topics: string, protocol: string) => ({
      origin: topics,
      properties: asProperties({
        ...{ 'connector.class': 'MirrorSourceConnector', topics },
        ...{ 'source.cluster.alias': 'A', 'target.cluster.alias': 'B' },
        ...{ 'source.cluster.bootstrap.servers': 'a:1', 'target.cluster.bootstrap.servers': 'b:1' },
        'source.cluster.security.protocol': protocol,
      }),
    })
    const mirror = readConnectors([connector('x', 'SSL'), connector('y', 'PLAINTEXT')])
    const { config, decisions } = importMirror(mirror, ['f'])
    expect(parse(config).clusters.A.tls).toBe(true)
    expect(decisions).toEqual([
      'cluster A: security.protocol differs in f and f, and gapless has one identity for a cluster; that of f was taken',
    ])
  })

  test('one of two source connectors for the same clusters has the heartbeats', () => {
    const connector = (kind: string, topics: string) => ({
      origin: 'f',
      properties: asProperties({
        ...{ 'connector.class': `Mirror${kind}Connector`, topics },
        ...{ 'source.cluster.bootstrap.servers': 'a:1', 'target.cluster.bootstrap.servers': 'b:1' },
      }),
    })
    const all = [connector('Source', 'x'), connector('Heartbeat', ''), connector('Source', 'y')]
    const { config } = importMirror(readConnectors(all), ['f'])
    const { flows } = parse(config) as { flows: { name: string; sync: { heartbeats?: string } }[] }
    expect(flows.map(({ name, sync }) => [name, sync.heartbeats])).toEqual([
      ['source-to-target', 'mirror-maker'],
      ['source-to-target-2', undefined],
    ])
  })

  test('two connectors that would write one topic are refused with the key to change', () => {
    const connector = {
      origin: 'f',
      properties: asProperties({
        ...{ 'connector.class': 'MirrorSourceConnector', topics: 'x' },
        ...{ 'source.cluster.bootstrap.servers': 'a:1', 'target.cluster.bootstrap.servers': 'b:1' },
      }),
    }
    expect(() => importMirror(readConnectors([connector, connector]), ['f'])).toThrow(
      'f: gapless would not accept flows[1].topics; accepted: topics that flow "source-to-target" does not write',
    )
  })
})

describe('sasl', () => {
  const sasl = (mechanism: string, jaas: string, more: Pairs = {}) =>
    dedicated({
      ...{
        'A.security.protocol': 'SASL_SSL',
        'A.sasl.mechanism': mechanism,
        'A.sasl.jaas.config': jaas,
      },
      ...more,
    })

  test('client credentials of OAuth', () => {
    const { document, decisions } = sasl(
      'OAUTHBEARER',
      'm.O required clientId="id" clientSecret="s" scope="k";',
      {
        'A.sasl.oauthbearer.token.endpoint.url': 'https://id.example.com/token',
      },
    )
    expect(document.clusters.A.sasl.token).toEqual({
      ...{ url: 'https://id.example.com/token', clientId: 'id', scope: 'k' },
      clientSecret: { secretsManager: 'gapless/A', key: 'clientSecret' },
    })
    expect(decisions).toEqual([])
  })

  test('a token without an endpoint that gapless may ask is a decision', () => {
    for (const more of [
      {},
      { 'A.sasl.oauthbearer.token.endpoint.url': 'http://id.example.com/token' },
    ]) {
      const { document, decisions } = sasl('OAUTHBEARER', 'm.O required;', more)
      expect(document.clusters.A.sasl.token).toEqual({ secretsManager: 'gapless/A', key: 'token' })
      expect(decisions).toHaveLength(1)
    }
  })

  test("Amazon's IAM takes the region of the brokers, or of the environment", () => {
    const iam = (servers: string) =>
      sasl('AWS_MSK_IAM', 'software.amazon.msk.auth.iam.IAMLoginModule required;', {
        'A.bootstrap.servers': servers,
      }).document.clusters.A.sasl
    expect(iam('b-1.x.kafka.us-east-2.amazonaws.com:9098').region).toBe('us-east-2')
    expect(iam('kafka.example.com:9098')).toEqual({
      mechanism: 'aws-msk-iam',
      region: `\${AWS_REGION}`,
    })
  })

  test('a login line that is elsewhere as a whole becomes references to both of its values', () => {
    const { document, secrets } = sasl('SCRAM-SHA-256', `\${file:/etc/kafka/a.properties:jaas}`)
    expect(document.clusters.A.sasl.username).toEqual({
      secretsManager: 'gapless/A',
      key: 'username',
    })
    expect(secrets.map(each => each.key)).toEqual(['username', 'password'])
  })
})
