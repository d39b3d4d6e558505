// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the files
// written here contain such text.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Environment } from '../../../../lib/io/config/config-environment.ts'
import { ConfigError, configPath, loadConfig } from '../../../../lib/io/config/config-file.ts'

let folder = ''
let files = 0

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gapless-config-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

const valid = `clusters:
  primary: { brokers: ["127.0.0.1:9092"] }
  standby: { brokers: ["127.0.0.1:9093"] }
flows:
  - name: primary-to-standby
    from: primary
    to: standby
    topics: ["commit-log", "/^orders\\\\..*/"]
`

function write(text: string): string {
  files += 1
  const path = join(folder, `gapless-${files}.yml`)
  writeFileSync(path, text)
  return path
}

/** The lines about a wrong file, with `gapless.yml` for its path. */
async function linesOf(text: string, env: Environment = {}): Promise<readonly string[]> {
  const path = write(text)
  try {
    await loadConfig(path, env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.lines.map(line => line.replaceAll(path, 'gapless.yml'))
  }
  throw new Error('expected the configuration to be refused')
}

const load = (text: string, env: Environment = {}) => loadConfig(write(text), env)

describe('A valid configuration', () => {
  test('a configuration is loaded with its defaults, and frozen', async () => {
    const config = await load(valid)
    expect(config.clusters.primary).toEqual({ brokers: ['127.0.0.1:9092'], tls: false })
    expect(config.flows[0]).toMatchObject({ naming: 'prefix', onTruncation: 'halt' })
    expect(config.flows[0]?.topics).toMatchObject([
      { kind: 'name', name: 'commit-log' },
      { kind: 'pattern', pattern: '^orders\\..*' },
    ])
    expect(Object.isFrozen(config.flows[0])).toBe(true)
  })

  test('the configuration is found by GAPLESS_CONFIG, or else in the working directory', () => {
    expect(configPath({ GAPLESS_CONFIG: '/etc/gapless.yml' })).toBe('/etc/gapless.yml')
    expect(configPath({ GAPLESS_CONFIG: '' })).toBe('gapless.yml')
    expect(configPath({})).toBe('gapless.yml')
  })

  test('TLS files are relative to the folder of the configuration', async () => {
    const config = await load(
      valid.replace(
        '["127.0.0.1:9093"]',
        '["127.0.0.1:9093"], tls: { ca: certs/ca.pem, key: /k.pem }',
      ),
    )
    expect(config.clusters.standby?.tls).toEqual({
      ca: join(folder, 'certs/ca.pem'),
      key: '/k.pem',
      rejectUnauthorized: true,
    })
  })

  test('gapless.yml of the repository is valid, and takes its ports from the environment', async () => {
    const path = join(import.meta.dirname, '../../../../gapless.yml')
    const brokersOf = async (env: Environment) =>
      Object.values((await loadConfig(path, env)).clusters).flatMap(cluster => cluster.brokers)
    expect(await brokersOf({})).toEqual(['127.0.0.1:9092', '127.0.0.1:9093'])
    expect(await brokersOf({ GAPLESS_PRIMARY_PORT: '19092' })).toEqual([
      '127.0.0.1:19092',
      '127.0.0.1:9093',
    ])
  })
})

describe('Values from the environment', () => {
  // A function, because `$$` has a meaning in a replacement text.
  const withPrimary = (value: string) => valid.replace('["127.0.0.1:9092"]', () => value)

  test.each([
    ['a whole value', '"${A}"', { A: 'b1:1' }, ['b1:1']],
    ['a whole list', '"${A}"', { A: 'b1:1, b2:2' }, ['b1:1', 'b2:2']],
    ['a part of a text', '["${A}:${B}"]', { A: 'b1', B: '7' }, ['b1:7']],
    ['its default when it is not set', '["b1:${B:-9092}"]', {}, ['b1:9092']],
    ['its default when it is empty', '["b1:${B:-9092}"]', { B: '' }, ['b1:9092']],
    ['its value rather than its default', '["b1:${B:-9092}"]', { B: '1' }, ['b1:1']],
  ])('a variable of the environment gives %s', async (_case, value, env, brokers) => {
    expect((await load(withPrimary(value), env)).clusters.primary?.brokers).toEqual(brokers)
  })

  test('a variable becomes a number or a switch where the schema wants one', async () => {
    const budgets = '    budgets:\n      leaseMs: ${LEASE}\n'
    const config = await load(`${valid}${budgets}`, { LEASE: '30000' })
    expect(config.flows[0]?.budgets.leaseMs).toBe(30_000)
    const block = `clusters:
  primary:
    brokers: b:1
    tls: \${TLS}
  standby: { brokers: "b:2" }
${valid.slice(valid.indexOf('flows:'))}`
    expect((await load(block, { TLS: 'true' })).clusters.primary?.tls).toBe(true)
  })

  test('a password of digits from the environment stays a text', async () => {
    const config = await load(
      withPrimary(
        '"b:1", insecure: true, sasl: { mechanism: plain, username: u, password: "${PW}" }',
      ),
      { PW: '12345' },
    )
    expect(config.clusters.primary?.sasl).toMatchObject({ password: '12345' })
  })

  test('a second dollar sign escapes a variable, and the value of a variable never adds keys', async () => {
    const config = await load(
      withPrimary(
        '"b:1", insecure: true, sasl: { mechanism: plain, username: "$${U}", password: "${PW}" }',
      ),
      { PW: 'x", evil: "1\n  evil: 2' },
    )
    expect(config.clusters.primary?.sasl).toMatchObject({
      username: '${U}',
      password: 'x", evil: "1\n  evil: 2',
    })
  })

  test('every variable that is not set is reported by name, each in its own line', async () => {
    expect(
      await linesOf(withPrimary('["${A}:1", "b:${B}"]').concat('    naming: ${NAMING}\n')),
    ).toEqual([
      'gapless.yml:2: clusters.primary.brokers[0] uses ${A}, which is not set in the environment',
      'gapless.yml:2: clusters.primary.brokers[1] uses ${B}, which is not set in the environment',
      'gapless.yml:9: flows[0].naming uses ${NAMING}, which is not set in the environment',
    ])
  })

  test.each(['${', '${}', '${A B}', '${A:}', '${1}'])(
    '%s is no variable, and is refused',
    async text => {
      expect(await linesOf(withPrimary(`["${text}"]`))).toEqual([
        `gapless.yml:2: clusters.primary.brokers[0] has ${text}, which is neither \${NAME} nor ` +
          '${NAME:-default}; $${ means the text ${',
      ])
    },
  )
})

describe('An invalid configuration', () => {
  const withFlow = (lines: string) => `${valid}${lines}`
  test.each<[string, string, Environment, string[]]>([
    [
      'a value that is not accepted',
      withFlow('    naming: prefx\n'),
      {},
      ['gapless.yml:9: flows[0].naming is "prefx"; accepted: prefix | identity'],
    ],
    [
      'the variable that a wrong value came from',
      withFlow('    naming: ${NAMING}\n'),
      { NAMING: 'prefx' },
      [
        'gapless.yml:9: flows[0].naming is "prefx" (from ${NAMING} of the environment); accepted: prefix | identity',
      ],
    ],
    [
      'one broker of a list in one variable',
      valid.replace('["127.0.0.1:9092"]', '"${BROKERS}"'),
      { BROKERS: 'b1:1,b2' },
      [
        'gapless.yml:2: clusters.primary.brokers[1] is "b1:1,b2" (from ${BROKERS} of the environment); accepted: host:port',
      ],
    ],
    [
      'a key that does not exist, without its value',
      valid.replace('standby: {', 'standby: { pasword: hunter2,'),
      {},
      [
        'gapless.yml:3: clusters.standby.pasword is not accepted: no such key; known keys: see docs/CONFIG.md',
      ],
    ],
    [
      'a key that is missing, at the line of its flow',
      valid.replace('    from: primary\n', ''),
      {},
      ['gapless.yml:5: flows[0].from is missing; accepted: the name of a cluster'],
    ],
    [
      'a key without a value',
      withFlow('    mode:\n'),
      {},
      ['gapless.yml:9: flows[0].mode is empty; accepted: batch | continuous'],
    ],
    [
      'a cluster that the configuration does not define',
      valid.replace('from: primary', 'from: primry'),
      {},
      ['gapless.yml:6: flows[0].from is "primry"; accepted: primary | standby'],
    ],
    [
      'fillers of a flow that fills no offset',
      withFlow('    fillers: markers\n    offsets: translate\n'),
      {},
      [
        'gapless.yml:9: flows[0].fillers is "markers"; accepted: transactions with offsets: translate, which fills no offset; or offsets: preserve',
      ],
    ],
    [
      'a number out of range',
      withFlow('    budgets: { leaseMs: 1 }\n'),
      {},
      [
        'gapless.yml:9: flows[0].budgets.leaseMs is 1; accepted: a whole number from 5000 to 300000',
      ],
    ],
    [
      'a pattern that is no regular expression',
      valid.replace('"commit-log"', '"/(/"'),
      {},
      [
        'gapless.yml:8: flows[0].topics[0] is "/(/"; accepted: a topic name, or a pattern between slashes',
      ],
    ],
    [
      'a password that is no text, without showing it',
      valid.replace(
        '["127.0.0.1:9092"]',
        '["b:1"], sasl: { mechanism: plain, username: u, password: 4711 }',
      ),
      {},
      [
        'gapless.yml:2: clusters.primary.sasl.password is *** without quotes around it; accepted: a password | { secretsManager, key } | { ssm }',
      ],
    ],
    [
      'an empty file',
      '',
      {},
      ['gapless.yml: the configuration is empty; accepted: { clusters, flows }'],
    ],
    [
      'a file that is a text',
      'hello',
      {},
      ['gapless.yml:1: the configuration is "hello"; accepted: { clusters, flows }'],
    ],
    [
      'a variable between braces without quotes',
      valid.replace('["127.0.0.1:9092"]', '${BROKERS}'),
      { BROKERS: 'b:1' },
      [
        'gapless.yml:2:24: not valid YAML: Unexpected flow-map-start at node end; put values with ${NAME} in double quotes',
      ],
    ],
    [
      'a key that is given twice',
      `${valid}flows: []\n`,
      {},
      ['gapless.yml:9:1: not valid YAML: Map keys must be unique'],
    ],
    [
      'two documents',
      `${valid}---\n`,
      {},
      ['gapless.yml:9:1: not valid YAML: more than one document (a second "---")'],
    ],
    [
      'an unknown tag',
      `${valid}x: !vault y\n`,
      {},
      ['gapless.yml:9:4: not valid YAML: Unresolved tag: !vault'],
    ],
    [
      'an alias without an anchor',
      valid.replace('from: primary', 'from: *p'),
      {},
      [
        'gapless.yml: not valid YAML: Unresolved alias (the anchor must be set before the alias): p',
      ],
    ],
  ])('one line reports %s', async (_case, text, env, lines) => {
    expect(await linesOf(text, env)).toEqual(lines)
  })

  test('each problem has its own line, up to twenty lines and a count of the others', async () => {
    const many = Array.from({ length: 25 }, (_, at) => `    x${at}: 1\n`).join('')
    const lines = await linesOf(`${valid}${many}`)
    expect(lines).toHaveLength(21)
    expect(lines.at(-1)).toBe('… and 5 more problems')
  })

  test('a missing file, a folder and a file that is too large are refused with what to do', async () => {
    const reason = async (path: string) =>
      loadConfig(path, {}).then(
        () => 'accepted',
        error => (error as ConfigError).message.replace(path, 'FILE'),
      )
    const remedy = 'set GAPLESS_CONFIG to the path of one (docs/CONFIG.md shows the smallest)'
    expect(await reason(join(folder, 'none.yml'))).toBe(
      `FILE: no such file; write a configuration there, or ${remedy}`,
    )
    expect(await reason(folder)).toBe(`FILE: a directory, not a configuration; ${remedy}`)
    expect(await reason(write('#'.repeat(1024 * 1024 + 1)))).toBe(
      'FILE: larger than 1048576 bytes, so it is no configuration of gapless; set GAPLESS_CONFIG to the path of one',
    )
  })
})

test('no secret is ever printed, whatever else is wrong around it', async () => {
  const key = fc.constantFrom('password', 'token', 'secretAccessKey', 'passwd')
  const mechanism = fc.constantFrom('plain', 'scram-sha-512', 'oauthbearer', 'kerberos', '5', '[]')
  await fc.assert(
    fc.asyncProperty(key, mechanism, fc.boolean(), async (secretKey, name, isFromEnvironment) => {
      const secret = 'hunter2-hunter2'
      const value = isFromEnvironment ? '"${SECRET}"' : `[${secret}]`
      const sasl = `sasl: { mechanism: ${name}, username: 5, ${secretKey}: ${value}, more: 1 }`
      const lines = await linesOf(valid.replace('["127.0.0.1:9092"]', `["b:1"], ${sasl}`), {
        SECRET: secret,
      })
      expect(lines.join('\n')).not.toContain(secret)
    }),
    { numRuns: 50 },
  )
})

describe('Problems that hide no others', () => {
  test('wrong keys, wrong values, unset variables and what contradicts each other are reported at once', async () => {
    const text = `clusters:
  primary: { brokers: ["PLAINTEXT://b1:9092"], sasl: { mechanism: aws-msk-iam, region: r } }
  standby: { brokers: ["b2:9092"], tsl: true }
flows:
  - { name: one, from: primary, to: standbi, topics: ["orders"], onTruncaton: continue }
  - { name: one, from: primary, to: primary, topics: ["\${TOPIC}"], naming: prefx }
  - name: two
    from: primary
    to: standby
    topics: [orders]
    budgets: { leaseMs: 10000, workersMax: 0 }
  - { name: three, from: primary, to: standby, topics: ["/ord.*/", "/(a)\\\\1/"] }
  - { name: four, from: primary, to: standby, topics: ["/o.*/"], exclude: [orders2] }
`
    expect(await linesOf(text)).toEqual([
      'gapless.yml:6: flows[1].topics[0] uses ${TOPIC}, which is not set in the environment',
      'gapless.yml:2: clusters.primary.brokers[0] is "PLAINTEXT://b1:9092"; accepted: host:port without PLAINTEXT://, here: b1:9092',
      'gapless.yml:3: clusters.standby.tsl is not accepted: no such key; did you mean "tls"? known keys: see docs/CONFIG.md',
      'gapless.yml:5: flows[0].onTruncaton is not accepted: no such key; did you mean "onTruncation"? known keys: see docs/CONFIG.md',
      'gapless.yml:6: flows[1].naming is "prefx"; accepted: prefix | identity',
      'gapless.yml:11: flows[2].budgets.workersMax is 0; accepted: a whole number from 1 to 1000',
      'gapless.yml:12: flows[3].topics[1] is "/(a)\\\\1/"; accepted: a topic name, or a pattern between slashes ' +
        'without look-around and back references (RE2 syntax); exclude leaves topics out',
      'gapless.yml:2: clusters.primary.tls is missing; accepted: true: MSK takes aws-msk-iam over TLS only',
      'gapless.yml:5: flows[0].to is "standbi"; accepted: primary | standby',
      'gapless.yml:6: flows[1].to is "primary"; accepted: another cluster than "primary"',
      'gapless.yml:6: flows[1].name is "one"; accepted: a name no other flow has',
      'gapless.yml:11: flows[2].budgets is {"leaseMs":10000,"workersMax":0}; accepted: requestTimeoutMs below leaseMs',
      'gapless.yml:13: flows[4].topics is ["/o.*/"]; accepted: topics that flow "two" does not write: both would write ' +
        'primary.orders on standby; exclude it from one',
    ])
  })

  test('the name of the way back of a flow is no name for another flow', async () => {
    const text = `clusters: { primary: { brokers: [b1:9092] }, standby: { brokers: [b2:9092] } }
flows:
  - { name: orders, from: primary, to: standby, topics: [orders] }
  - { name: orders.back, from: standby, to: primary, topics: [others] }
`
    expect(await linesOf(text)).toEqual([
      'gapless.yml:4: flows[1].name is "orders.back"; accepted: a name that no other flow has with .back ' +
        'behind it: its fail-back has that',
    ])
  })

  test.each([
    ['onTrunkation', 'onTruncation'],
    ['toppics', 'topics'],
    ['Naming', 'naming'],
    ['frm', 'from'],
    ['startfrom', 'startFrom'],
    ['budget', 'budgets'],
  ])('a misspelt key %s is told the key %s', async (key, known) => {
    const lines = await linesOf(`${valid}    ${key}: 1\n`)
    expect(lines).toEqual([
      `gapless.yml:9: flows[0].${key} is not accepted: no such key; did you mean "${known}"? known keys: see docs/CONFIG.md`,
    ])
  })
})

describe('Credentials and certificates', () => {
  const withPrimary = (fields: string) =>
    valid.replace('["127.0.0.1:9092"]', () => `["b:1"], ${fields}`)
  const plain = 'sasl: { mechanism: plain, username: u, password: canary }'
  const token = 'sasl: { mechanism: oauthbearer, token: canary }'
  const watchPlain = `watch: { ${plain} }`

  test.each([
    [
      plain,
      'sasl.mechanism is "plain"; accepted: tls for this mechanism, which sends the password as it is',
    ],
    [
      token,
      'sasl.mechanism is "oauthbearer"; accepted: tls for this mechanism, which sends the token as it is',
    ],
    [
      watchPlain,
      'watch.sasl.mechanism is "plain"; accepted: tls for this mechanism, which sends the password as it is',
    ],
  ])(
    'credentials in the clear are refused unless insecure allows them: %s',
    async (fields, line) => {
      const more = '; or insecure: true, to allow that'
      expect(await linesOf(withPrimary(fields))).toEqual([
        `gapless.yml:2: clusters.primary.${line}${more}`,
      ])
      await expect(load(withPrimary(`${fields}, insecure: true`))).resolves.toBeDefined()
      await expect(load(withPrimary(`${fields}, tls: true`))).resolves.toBeDefined()
      expect(await linesOf(withPrimary(`${fields}, insecure: false`))).toHaveLength(1)
    },
  )

  test.each([
    'tls: { rejectUnauthorized: false }',
    'watch: { tls: { rejectUnauthorized: false } }',
  ])(
    'a certificate that nobody verifies is refused outside of the local stage: %s',
    async fields => {
      const text = withPrimary(fields)
      const key = fields.startsWith('watch') ? 'watch.tls' : 'tls'
      expect(await linesOf(text, { GAPLESS_STAGE: 'prod' })).toEqual([
        `gapless.yml:2: clusters.primary.${key}.rejectUnauthorized is false; accepted: true: this is stage prod, and false is for the stage local only`,
      ])
      await expect(load(text, { GAPLESS_STAGE: 'local' })).resolves.toBeDefined()
      await expect(load(text, {})).resolves.toBeDefined()
    },
  )

  test.each([
    ['brokers: ["user:canary@b1:9092"]', 'clusters.c.brokers[0] is "***@b1:9092"'],
    [
      'brokers: ["SASL_SSL://user:canary@b1:9092"]',
      'clusters.c.brokers[0] is "SASL_SSL://***@b1:9092"',
    ],
    ['brokers: [b:1], tls: "https://h/?canary"', 'clusters.c.tls is "https://h/?***"'],
    [
      'brokers: [b:1], tls: true, sasl: { mechanism: oauthbearer, token: { url: "https://u:canary@h/?canary", clientId: a, clientSecret: b } }',
      'clusters.c.sasl.token.url is ***',
    ],
  ])('a secret within an address is never printed: %s', async (fields, line) => {
    const lines = await linesOf(valid.replace('clusters:\n', `clusters:\n  c: { ${fields} }\n`))
    expect(lines).toEqual([expect.stringContaining(line)])
    expect(lines.join()).not.toContain('canary')
  })
})

describe('Secrets by reference', () => {
  const withPrimary = (fields: string) =>
    valid.replace('["127.0.0.1:9092"]', () => `["b:1"], ${fields}`)

  test('a secret reference stays a reference in the configuration, and a PEM stays a text', async () => {
    const pem = '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n'
    const config = await load(
      withPrimary(
        `tls: { ca: "${pem}", key: { ssm: /key }, passphrase: "x/y" }, sasl: { mechanism: plain, ` +
          'username: { secretsManager: s, key: username }, password: { secretsManager: s } }',
      ),
    )
    expect(config.clusters.primary).toMatchObject({
      tls: { ca: pem.replaceAll('\\n', '\n'), key: { ssm: '/key' }, passphrase: 'x/y' },
      sasl: {
        username: { secretsManager: 's', key: 'username' },
        password: { secretsManager: 's' },
      },
    })
  })

  test('the token of oauthbearer may be the credentials that fetch one', async () => {
    const token = '{ url: "https://id.example.com/token", clientId: a, clientSecret: { ssm: /b } }'
    const config = await load(
      withPrimary(`tls: true, sasl: { mechanism: oauthbearer, token: ${token} }`),
    )
    expect(config.clusters.primary?.sasl).toMatchObject({
      token: { url: 'https://id.example.com/token', clientSecret: { ssm: '/b' } },
    })
  })

  test.each([
    [
      'sasl: { mechanism: plain, username: u, password: { ssm: /p, key: canary } }',
      'sasl.password.key is not accepted: no such key; known keys: see docs/CONFIG.md',
    ],
    [
      'sasl: { mechanism: plain, username: u, password: { canary: 5 } }',
      'sasl.password is ***; accepted: a password | { secretsManager, key } | { ssm }',
    ],
    [
      'sasl: { mechanism: oauthbearer, token: { url: "http://canary.example.com/", clientId: a, clientSecret: canary } }',
      'sasl.token.url is ***; accepted: an https:// URL',
    ],
    [
      'sasl: "user:canary"',
      'sasl is ***; accepted: mechanism: plain | scram-sha-256 | scram-sha-512 | oauthbearer | aws-msk-iam, and its credentials',
    ],
    [
      'tls: "-----BEGIN PRIVATE KEY----- canary"',
      'tls is ***; accepted: true | false | { ca, cert, key, passphrase, rejectUnauthorized }',
    ],
    [
      'tls: { key: "-----BEGIN canary", rejectUnauthorized: 5 }',
      'tls is {"key":"***","rejectUnauthorized":5}; accepted: true | false | { ca, cert, key, passphrase, rejectUnauthorized }',
    ],
    [
      'sasl: { mechanism: aws-msk-iam, region: eu-west-1 }',
      'tls is missing; accepted: true: MSK takes aws-msk-iam over TLS only',
    ],
  ])('a wrong secret is refused without printing it: %s', async (fields, line) => {
    const lines = await linesOf(withPrimary(fields))
    expect(lines).toEqual([`gapless.yml:2: clusters.primary.${line}`])
    expect(lines.join()).not.toContain('canary')
  })
})
