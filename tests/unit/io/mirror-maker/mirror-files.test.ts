import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importMirror } from '../../../../lib/core/mirror-maker/import.ts'
import { readMirror } from '../../../../lib/io/mirror-maker/mirror-files.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gapless-mirror-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

async function importText(name: string, text: string) {
  const file = join(folder, name)
  writeFileSync(file, text)
  return importMirror(await readMirror([file]), [name])
}

/** The one line that the import ends with. */
async function refusal(name: string, text: string): Promise<string> {
  try {
    await importText(name, text)
  } catch (error) {
    const { message: line } = error as Error
    expect(line).not.toContain('\n')
    return line.replaceAll(`${folder}/`, '')
  }
  return 'accepted'
}

const servers = 'clusters = A, B\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\n'
const flow = `${servers}A->B.enabled = true\n`

describe('a file of properties, as Java reads it', () => {
  test('lines go on behind a backslash, and names end at = or : or a blank', async () => {
    const text =
      '# a comment, \\\nclusters : A B\n!clusters = C\nclusters = A,\\\n   B\r\nA.bootstrap.servers a:1\n' +
      'B.bootstrap.servers:b:1\nA->B.enabled\\\n = true\nA->B.topics = \\u0061b\\t\nA->B.topics.exclude=\n'
    const { config, properties } = await importText('lines.properties', text)
    expect(config).toContain('topics: [ab]')
    expect(properties.map(each => each.origin)).toContain('lines.properties:6')
  })

  test('lines that end with CRLF go on behind a backslash, also between name and value', async () => {
    const text = flow.replaceAll('\n', '\r\n')
    const { config, properties } = await importText(
      'crlf.properties',
      `${text}A->B.topics\\\r\n = t,\\\r\n  u\r\n`,
    )
    expect(config).toContain('topics: [t, u]')
    expect(properties.at(-1)?.origin).toBe('crlf.properties:5')
  })

  test('the last one of two properties with one name counts, as in Java', async () => {
    const { config } = await importText(
      'twice.properties',
      `${flow}A->B.topics = x\nA->B.topics = y\n`,
    )
    expect(config).toContain('topics: [y]')
  })

  test('a property is found at its own line, also behind lines that go on', async () => {
    const { properties } = await importText(
      'at.properties',
      `${flow}x.y = 1\\\n  2\nA->B.topics = t\n`,
    )
    expect(properties.at(-1)).toMatchObject({ property: 'A->B.topics', origin: 'at.properties:7' })
  })
})

describe('what is refused, with one line', () => {
  const connector = (more: string) =>
    `{"connector.class":"MirrorSourceConnector","source.cluster.alias":"A","target.cluster.alias":"B"${more}}`
  test.each<[string, string, string]>([
    [
      'none.properties',
      'a = b\n',
      'none.properties: no clusters; expected properties of dedicated mode (clusters = A, B), connectors of Kafka Connect, or a KafkaMirrorMaker2 of Strimzi',
    ],
    [
      'off.properties',
      `${servers}A->B.enabled = false\n`,
      'off.properties: no flow is enabled between A, B; expected a line such as A->B.enabled = true',
    ],
    [
      'maybe.properties',
      `${servers}A->B.enabled = maybe\n`,
      'maybe.properties:4: A->B.enabled is neither true nor false',
    ],
    [
      'address.properties',
      'clusters = A, B\nA.bootstrap.servers = a:1\nA->B.enabled = true\n',
      'cluster B has no bootstrap.servers; expected B.bootstrap.servers, or source.cluster. and target.cluster. in a connector',
    ],
    [
      'port.properties',
      flow.replace('a:1', 'a'),
      'port.properties: gapless would not accept clusters.A.brokers[0]; accepted: host:port',
    ],
    [
      'ahead.properties',
      `${flow}A->B.topics = orders(?=-eu).*\n`,
      'ahead.properties:5: A->B.topics has the pattern orders(?=-eu).*; ' +
        'gapless takes a pattern without look-around and back references (RE2 syntax); exclude leaves topics out',
    ],
    [
      'regex.properties',
      `${flow}A->B.groups = (\n`,
      'regex.properties:5: A->B.groups has the pattern (; gapless takes a pattern that is a regular expression',
    ],
    [
      'provider.properties',
      `${flow}A->B.topics = \${file:/topics:all}\n`,
      'provider.properties:5: A->B.topics refers to a config provider; write its value instead, and import again',
    ],
    [
      'protocol.properties',
      `${flow}A.security.protocol = TLS\n`,
      'protocol.properties:5: A.security.protocol is not one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL',
    ],
    [
      'jaas.properties',
      `${flow}A.security.protocol = SASL_SSL\nA.sasl.mechanism = PLAIN\nA.sasl.jaas.config = password="secret-9"\n`,
      'jaas.properties:7: A.sasl.jaas.config is not in the form MODULE required NAME="VALUE" ...;',
    ],
    [
      'ring.properties',
      `${flow}B->A.enabled = true\nreplication.policy.class = IdentityReplicationPolicy\n`,
      'ring.properties: gapless would not accept flows[1].naming; accepted: prefix, or topics that do not come back: ' +
        'with identity the flows "B-to-A" (B to A), "A-to-B" (A to B) copy a topic to where it came from, again and again; exclude them from one',
    ],
    [
      'internal.properties',
      `${flow}A->B.topics = __consumer_offsets\n`,
      'internal.properties:5: A->B.topics selects no topic; expected names or patterns',
    ],
    [
      'broken.json',
      '{"sasl.jaas.config": "secret-9"',
      'broken.json: not valid JSON; expected a connector, or a list of connectors',
    ],
    ['list.json', '[1]', 'list.json: no connector; expected {"name","config"} or its properties'],
    [
      'sink.json',
      '{"connector.class":"com.example.Sink"}',
      'sink.json: the connector is a Sink; expected MirrorSourceConnector, MirrorCheckpointConnector, MirrorHeartbeatConnector',
    ],
    [
      'only.json',
      connector('').replace('Source', 'Checkpoint'),
      'only.json: no MirrorSourceConnector that is enabled: it has the topics; give its file, too',
    ],
    [
      'disabled.json',
      connector(',"enabled":"false"'),
      'disabled.json: no MirrorSourceConnector that is enabled: it has the topics; give its file, too',
    ],
    [
      'pod.yaml',
      'apiVersion: v1\nkind: Pod\n',
      'pod.yaml: kind is Pod; expected KafkaMirrorMaker2 (kubectl get kafkamirrormaker2 NAME -o yaml)',
    ],
    [
      'bad.yaml',
      'apiVersion: v1\nkind: [\n',
      'bad.yaml:3: not valid YAML (BAD_INDENT); expected a KafkaMirrorMaker2',
    ],
    [
      'empty.yaml',
      'apiVersion: v1\nkind: KafkaMirrorMaker2\nspec: {}\n',
      'empty.yaml: spec.mirrors is empty: nothing is copied',
    ],
    [
      'names.yaml',
      'apiVersion: v1\nkind: KafkaMirrorMaker2\nspec: { clusters: [{ alias: a, bootstrapServers: "a:1" }], ' +
        'mirrors: [{ sourceCluster: a, targetCluster: b }] }\n',
      'names.yaml: spec.mirrors[0] names cluster b, which spec.clusters does not have',
    ],
  ])('%s', async (name, text, line) => {
    expect(await refusal(name, text)).toBe(line)
  })

  test('a file that is not there, a folder without files, and two configurations at once', async () => {
    writeFileSync(join(folder, 'one.properties'), flow)
    const refused = (...names: string[]) =>
      readMirror(names.map(each => join(folder, each))).then(
        () => 'accepted',
        (error: Error) => error.message.replaceAll(`${folder}/`, ''),
      )
    expect(await refused('absent.json')).toBe(
      'absent.json: no such file; expected a configuration of MirrorMaker 2',
    )
    expect(await refused('one.properties', 'one.properties')).toBe(
      'one.properties, one.properties: more than one configuration; expected one file of dedicated mode, or connectors alone, or resources of Strimzi alone',
    )
  })

  test('a cluster with two addresses under one alias', async () => {
    const two = `[${connector(',"source.cluster.bootstrap.servers":"a:1","target.cluster.bootstrap.servers":"b:1"')},
      ${connector(',"source.cluster.bootstrap.servers":"c:1","target.cluster.bootstrap.servers":"b:1"')}]`
    expect(await refusal('two.json', two)).toBe(
      'two.json[1]: cluster A has other bootstrap.servers than in two.json[0]; give each cluster an alias of its own, and import again',
    )
  })
})
