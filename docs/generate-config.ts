// Writes docs/CONFIG.md: `node docs/generate-config.ts`. What a key accepts and what it is by
// default is asked of the schema, the reasons are the comments in lib/core/config/defaults.ts; only
// what a key means is written here, and the types below refuse a key too many or too few. A unit
// test fails while the file is not up to date.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ClusterConfig,
  type Config,
  type ConfigPath,
  parseConfig,
} from '../lib/core/config/config.ts'
import type { Budgets } from '../lib/core/config/defaults.ts'
import * as defaults from '../lib/core/config/defaults.ts'

const root = join(import.meta.dirname, '..')

type Key = {
  readonly meaning: string
  /** Why the default is what it is, where defaults.ts has nothing to say. */
  readonly reason?: string
  /** A value the schema refuses: its answer is what the reference prints as accepted. */
  readonly wrong: unknown
}

const WRONG_TYPE = { not: 'this' }

const clusterKeys: Record<keyof ClusterConfig, Key> = {
  brokers: {
    meaning: 'Where the cluster answers. One text may hold several, with commas between them.',
    wrong: WRONG_TYPE,
  },
  tls: {
    meaning: 'Encryption: `true` trusts what Node trusts, an object names certificates.',
    reason: 'Clusters on one machine have none; every other one should be asked for it.',
    wrong: 'perhaps',
  },
  sasl: {
    meaning: 'Who we are to the cluster.',
    reason: 'A cluster that wants to know says so when it refuses us.',
    wrong: 'yes',
  },
}

type TlsFiles = Exclude<ClusterConfig['tls'], boolean>
const tlsKeys: Record<keyof TlsFiles, string> = {
  ca: 'PEM: the authorities to trust instead of those that Node trusts.',
  cert: 'PEM: our certificate, where the cluster asks for one (mutual TLS).',
  key: 'PEM: the key of `cert`.',
  passphrase: 'Of `key`, where it is encrypted.',
  rejectUnauthorized:
    '`true` (default) refuses a cluster whose certificate does not hold; `false` is for drills only.',
}

type Sasl = NonNullable<ClusterConfig['sasl']>
const saslKeys: Record<Sasl['mechanism'], string> = {
  plain: '`username`, `password`',
  'scram-sha-256': '`username`, `password`',
  'scram-sha-512': '`username`, `password`',
  oauthbearer:
    '`token`: the token, or where one is fetched by OAuth 2.0 client credentials: `{ url, clientId, clientSecret, scope }`',
  'aws-msk-iam': '`region`; `tls` must be set',
}

const referenceRows = [
  [
    code('{ secretsManager: prod/kafka, key: password }'),
    'Secrets Manager; with `key`, one text of the JSON object that the secret is',
    code('secretsmanager:GetSecretValue'),
  ],
  [
    code('{ ssm: /prod/kafka/password }'),
    'SSM Parameter Store, decrypted',
    code('ssm:GetParameter'),
  ],
]

const flowKeys: Record<keyof Config['flows'][number], Key> = {
  name: {
    meaning: 'Names the flow in checkpoints, incidents and metrics: do not change it.',
    wrong: '',
  },
  from: { meaning: 'The cluster to read from.', wrong: 5 },
  to: { meaning: 'The cluster to write to.', wrong: 5 },
  topics: {
    meaning:
      'What to replicate: names, or patterns between slashes. A pattern describes the whole name and never ' +
      "means Kafka's internal topics.",
    wrong: 5,
  },
  exclude: {
    meaning: 'What to leave out of it, in the same form.',
    reason: 'Nothing is left out unless somebody says so.',
    wrong: 5,
  },
  naming: {
    meaning: '`prefix`: `orders` becomes `primary.orders`. `identity`: it stays `orders`.',
    reason: 'Two directions cannot travel in circles, and a reader sees where a record comes from.',
    wrong: '?',
  },
  startFrom: { meaning: 'Where a partition begins that was never seen before.', wrong: '?' },
  onTruncation: {
    meaning: 'When records were deleted before they were replicated.',
    wrong: '?',
  },
  onReset: { meaning: 'When a topic was deleted and recreated.', wrong: '?' },
  onDivergence: {
    meaning: 'When the source lost records that the standby has (unclean leader election).',
    wrong: '?',
  },
  mode: {
    meaning:
      '`batch`: an invocation ends when it has caught up. `continuous`: it follows until its deadline.',
    reason:
      'Costs nothing while nothing happens; a minute of latency is what a schedule of a minute means.',
    wrong: '?',
  },
  budgets: { meaning: 'Named limits, see below.', reason: 'See below.', wrong: 5 },
}

const budgetKeys: Record<keyof Budgets, string> = {
  leaseMs: 'How long a partition belongs to an invocation that stopped answering.',
  checkpointIntervalMs: 'How often progress is stored while copying. At most half of `leaseMs`.',
  requestTimeoutMs: 'How long a broker may take for one answer. Below `leaseMs`.',
  reserveMs: 'Kept back at the end of an invocation.',
  fetchWaitMs: 'How long a broker may hold a fetch that finds nothing.',
  fetchBytesMax: 'Bytes of one fetch answer.',
  partitionFetchBytesMax: 'Bytes of one partition in it.',
  bufferBytesMax: 'Bytes fetched and not yet acknowledged, per worker.',
  shardPartitionsMax: 'Partitions of one worker.',
  workersMax: 'Workers at a time, per flow.',
}

const smallest = {
  clusters: { primary: { brokers: ['127.0.0.1:9092'] }, standby: { brokers: ['127.0.0.1:9093'] } },
  flows: [{ name: 'primary-to-standby', from: 'primary', to: 'standby', topics: ['commit-log'] }],
}

/** The text of docs/CONFIG.md. */
export function renderConfigReference(): string {
  const reasons = readReasons()
  const example = readFileSync(join(root, 'gapless.yml'), 'utf8').trimEnd()
  const keyRows = (keys: Record<string, Key>, at: ConfigPath) =>
    Object.entries(keys).map(([name, key]) => {
      const path = [...at, name]
      return [
        code(name),
        key.meaning,
        acceptedAt(path, key.wrong),
        defaultAt(path),
        reasons[name] ?? key.reason ?? '',
      ]
    })
  const budgetRows = Object.entries(budgetKeys).map(([name, meaning]) => {
    const path = ['flows', 0, 'budgets', name]
    return [code(name), meaning, acceptedAt(path, -1), defaultAt(path), reasons[name] ?? '']
  })
  const columns = ['key', 'meaning', 'accepted', 'default', 'why this default']
  return [
    introduction(example),
    '## clusters.NAME\n',
    table(columns, keyRows(clusterKeys, ['clusters', 'primary'])),
    '### tls\n',
    'A PEM is the text itself (`-----BEGIN …`), a reference to it, or the path of a file, where a relative path is ' +
      'relative to the folder of the configuration file.\n',
    table(
      ['key', 'meaning'],
      Object.entries(tlsKeys).map(([name, meaning]) => [code(name), meaning]),
    ),
    '### sasl\n',
    'Tokens are asked for anew when a connection is opened, those of a token endpoint once they have lived four fifths ' +
      'of `expires_in`. `aws-msk-iam` signs with the credentials of the process.\n',
    table(
      ['mechanism', 'needs'],
      Object.entries(saslKeys).map(([name, needs]) => [code(name), needs]),
    ),
    '### Secrets by reference\n',
    'In place of any text of `sasl` (but `mechanism`, `region`, `url` and `scope`) and of `tls`:\n',
    table(['reference', 'is read from', 'permission'], referenceRows),
    'A name or an ARN; an ARN also says the region. What a reference stands for is read when a connection is opened, again ' +
      'when one could not be opened (a rotated password), and is never part of the configuration, nor printed. ' +
      '[SECURITY](SECURITY.md) says more.\n',
    '## flows[]\n',
    table(columns, keyRows(flowKeys, ['flows', 0])),
    '### budgets\n',
    table(columns, budgetRows),
    '## Fixed limits\n',
    'Not configurable; here so that every bound has a name and a reason.\n',
    table(['limit', 'value', 'why'], fixedLimitRows()),
  ].join('\n')
}

function introduction(example: string): string {
  return `# Configuration

<!-- Generated by docs/generate-config.ts from lib/core/config/config.ts and lib/core/config/defaults.ts: do not edit. -->

gapless reads one YAML file: the path in \`GAPLESS_CONFIG\`, or else \`gapless.yml\` in the working directory. The
smallest one, as \`npm start\` uses it:

\`\`\`yaml
${example}
\`\`\`

A key that is not listed here is refused, so that a misspelt one cannot fall back to its default in silence. What is
wrong is said one line each, with file, line, key, the value found and what is accepted:

\`\`\`
gapless.yml:10: flows[0].naming is "prefx"; accepted: prefix | identity
\`\`\`

## Values from the environment

| in a value | becomes |
| --- | --- |
| \`\${NAME}\` | the variable \`NAME\`; an error when it is not set |
| \`\${NAME:-default}\` | the variable, or \`default\` when it is not set or empty |
| \`$\${\` | the two characters \`\${\` |

They work in values, not in keys, and inside a longer text. Between braces and brackets YAML wants double quotes around
them: \`{ password: "\${PASSWORD}" }\`. Numbers may arrive as text; \`true\` and \`false\` are switches where the variable
stands alone and without quotes. Passwords and tokens are never printed.
`
}

function acceptedAt(path: ConfigPath, wrong: unknown): string {
  const parsed = parseConfig(withValue(path, wrong))
  const problem =
    parsed.kind === 'invalid'
      ? parsed.problems.find(each => startsWith(each.path, path))
      : undefined
  if (problem === undefined)
    throw new Error(`the schema accepts ${path.join('.')}: ${String(wrong)}`)
  return problem.accepted
}

function defaultAt(path: ConfigPath): string {
  if (valueAt(smallest, path) !== undefined) return 'required'
  const parsed = parseConfig(smallest)
  if (parsed.kind === 'invalid') throw new Error('the smallest configuration is refused')
  const value = valueAt(parsed.config, path)
  if (value === undefined) return 'none'
  return typeof value === 'object' && !Array.isArray(value)
    ? 'see below'
    : code(String(show(value)))
}

function show(value: unknown): unknown {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function withValue(path: ConfigPath, value: unknown): unknown {
  const document: unknown = structuredClone(smallest)
  let at = document as Record<string | number, unknown>
  for (const part of path.slice(0, -1)) {
    at[part] ??= {}
    at = at[part] as Record<string | number, unknown>
  }
  at[path.at(-1) ?? ''] = value
  return document
}

function valueAt(document: unknown, path: ConfigPath): unknown {
  let at = document
  for (const part of path) at = (at as Record<string | number, unknown> | undefined)?.[part]
  return at
}

function startsWith(path: ConfigPath, start: ConfigPath): boolean {
  return start.every((part, index) => path[index] === part)
}

const source = () => readFileSync(join(root, 'lib/core/config/defaults.ts'), 'utf8')

/** The line comments above each `name: value,` of the defaults. */
function readReasons(): Record<string, string> {
  const found = source().matchAll(/((?: *\/\/ .*\n)+) *(\w+): [^\n]+,\n/g)
  return Object.fromEntries(
    [...found].map(([, comment = '', name = '']) => [
      name,
      comment
        .split('\n')
        .map(line => line.replace(/^ *\/\/ /, '').trim())
        .join(' ')
        .trim(),
    ]),
  )
}

/** Every exported number, with the comment above it, in the order of the file. */
function fixedLimitRows(): string[][] {
  const found = [...source().matchAll(/\/\*\* (.*) \*\/\nexport const (\w+) =/g)]
  const values = new Map(Object.entries(defaults).filter(([, value]) => typeof value === 'number'))
  const rows = found.flatMap(([, comment = '', name = '']) =>
    values.has(name) ? [[code(name), code(String(values.get(name))), comment]] : [],
  )
  if (rows.length !== values.size)
    throw new Error('lib/core/config/defaults.ts: a limit has no reason')
  return rows
}

function code(text: string): string {
  return `\`${text}\``
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`
}

if (import.meta.main) writeFileSync(join(root, 'docs/CONFIG.md'), renderConfigReference())
