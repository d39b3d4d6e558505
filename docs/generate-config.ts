// Writes docs/CONFIG.md and docs/gapless.schema.json: `npm run docs`. Reads the meaning, the
// accepted form and the default of each key from the schema (lib/core/config), and the reasons from
// the comments in lib/core/config/defaults.ts. A unit test fails while one of the files is not up
// to date. Does not own the schema for editors (editor-schema.ts).

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import {
  clusterSchema,
  type SecretReference,
  saslMechanisms,
  secretReferences,
  tlsFiles,
} from '../lib/core/config/cluster-config.ts'
import { configSchema } from '../lib/core/config/config.ts'
import * as defaults from '../lib/core/config/defaults.ts'
import * as failoverLimits from '../lib/core/config/failover-limits.ts'
import type { Selector } from '../lib/core/config/topic-selection.ts'
import * as fillLimits from '../lib/core/offsets/fill-limits.ts'
import * as paddingLimits from '../lib/core/offsets/padding-limits.ts'
import * as deletionLimits from '../lib/core/sync/deletion-limits.ts'
import { renderEditorSchema } from './editor-schema.ts'
import { withPropertyMap } from './mirror-maker-table.ts'

const root = join(import.meta.dirname, '..')

type Keys = Readonly<Record<string, z.ZodType>>

const flowSchema = configSchema.shape.flows.element
const budgetsSchema = flowSchema.shape.budgets.unwrap()

/** Why a key has no default, or none of one line; defaults.ts has the reasons of all others. */
const reasonsWithoutDefault: Readonly<Record<string, string>> = {
  sasl: 'Brokers without SASL need none; a broker that requires it refuses the connection.',
  insecure: 'A password or a token in the clear is read by everyone on the way.',
  watch: 'One identity for all functions is enough where nobody asks for two.',
  budgets: 'See below.',
  sync: 'See below.',
}

const topicRules = `Patterns are written in [RE2 syntax](https://github.com/google/re2/wiki/Syntax), which has no look-around and no back
references: a name is matched in linear time. \`exclude\` says what a look-ahead would.

With \`naming: prefix\` a pattern leaves out each topic whose name has the prefix of a cluster of this configuration at
any place (\`primary.orders\`, \`eu.primary.orders\`): such a topic is a copy, and copying copies on would never end
where flows form a ring. \`gapless status\` lists what is left out. A topic that \`topics\` names is always copied.

Refused, because two flows would write into one topic of the target, or a topic would come back to its source:
- two flows that certainly write the same topic: both name it, or one names what the pattern of the other one matches on
  the same source. Where only the topics tell, the flow without a checkpoint of the topic leaves it out, with an incident
  (\`topic-refused\`); both do where both or neither has one.
- flows with \`naming: identity\` that form a ring (\`a\` to \`b\` and \`b\` to \`a\`, or over further clusters), unless
  names, beginnings of patterns or \`exclude\` prove that they share no topic.
- a flow whose clusters are one cluster, by the cluster ids that they state; at every tick and command.
`

type KeyOf<T> = T extends unknown ? keyof T : never

/** What the role of the functions must allow, for the key that a reference begins with. */
const permissions: Readonly<Record<Exclude<KeyOf<SecretReference>, 'key'>, string>> = {
  secretsManager: 'secretsmanager:GetSecretValue',
  ssm: 'ssm:GetParameter',
}

/** The text of docs/CONFIG.md. */
export function renderConfigReference(): string {
  const example = readFileSync(join(root, 'gapless.yml'), 'utf8').trimEnd()
  return [
    introduction(example),
    '## clusters.NAME\n',
    keyTable(clusterSchema.shape),
    '### tls\n',
    'A PEM is the text itself (`-----BEGIN …`), a reference to it, or the path of a file; a relative path is relative to ' +
      'the folder of the configuration file.\n',
    table(
      ['key', 'meaning'],
      Object.entries(tlsFiles.shape).map(([name, key]) => [code(name), meaningOf(key)]),
    ),
    '### sasl\n',
    'A connection is opened with a new token; one from a token endpoint is used again until four fifths of its ' +
      '`expires_in` are over. `aws-msk-iam` signs with the credentials of the process.\n',
    table(['mechanism', 'needs'], saslMechanisms.map(mechanismRow)),
    '### Secrets by reference\n',
    'In place of any text of `sasl` (but `mechanism`, `region`, `url` and `scope`) and of `tls`:\n',
    table(['reference', 'meaning', 'permission'], secretReferences.map(referenceRow)),
    'An ARN also names the region. The secret is read when a connection is opened, and again when opening one failed (a ' +
      'rotated password). It is never part of the configuration, and never printed; see [SECURITY](SECURITY.md).\n',
    '## flows[]\n',
    keyTable(flowSchema.shape),
    topicRules,
    '### sync\n',
    keyTable(flowSchema.shape.sync.unwrap().shape),
    '### budgets\n',
    keyTable(budgetsSchema.shape),
    '## Fixed limits\n',
    'Not configurable; listed so that every bound has a name and a reason.\n',
    table(['limit', 'value', 'why'], fixedLimitRows()),
  ].join('\n')
}

function introduction(example: string): string {
  const lineOfNaming = 1 + example.split('\n').findIndex(line => /^ *naming:/.test(line))
  return `# Configuration

<!-- Generated by docs/generate-config.ts from lib/core/config/config.ts and lib/core/config/defaults.ts: do not edit. -->

gapless reads one YAML file: the path in \`GAPLESS_CONFIG\`, or else \`gapless.yml\` in the working directory.
\`GAPLESS_CONFIG\` may also name a parameter (\`ssm:/name\`, or its ARN) or an object (\`s3://bucket/key\`) in AWS;
relative TLS files are then relative to the working directory. The
one that \`npm start\` uses (its first line names the schema for editors with a YAML language server):

\`\`\`yaml
${example}
\`\`\`

A key that is not listed here is refused: a misspelt key must not fall back to its default unnoticed. All problems are
shown at once, one line each, with file, line, key, the value found and what is accepted:

\`\`\`
gapless.yml:${lineOfNaming}: flows[0].naming is "prefx"; accepted: ${acceptedBy(flowSchema.shape.naming)}
\`\`\`

## Values from the environment

| in a value | becomes |
| --- | --- |
| \`\${NAME}\` | the variable \`NAME\`; an error when it is not set |
| \`\${NAME:-default}\` | the variable, or \`default\` when it is not set or empty |
| \`$\${\` | the two characters \`\${\` |

Variables are replaced in values, not in keys, also inside a longer text. Between braces and brackets YAML wants double
quotes around them: \`{ password: "\${PASSWORD}" }\`. Numbers may arrive as text; \`true\` and \`false\` are
switches where the variable stands alone and without quotes. Passwords and tokens are never printed.
`
}

/** A row for each key of an object of the configuration. */
function keyTable(keys: Keys): string {
  const reasons = { ...reasonsWithoutDefault, ...readReasons() }
  const rows = Object.entries(keys).map(([name, key]) => {
    const [meaning, accepted, byDefault] = [meaningOf(key), acceptedBy(key), defaultOf(key)]
    return [code(name), meaning, accepted, byDefault, reasons[name] ?? '']
  })
  return table(['key', 'meaning', 'accepted', 'default', 'why this default'], rows)
}

function mechanismRow({ shape }: (typeof saslMechanisms)[number]): string[] {
  const { mechanism, ...keys } = shape
  const needs = Object.entries(keys).map(([name, key]) => `${code(name)}: ${meaningOf(key)}`)
  const names = 'options' in mechanism ? mechanism.options : [...mechanism.values]
  return [names.map(code).join(', '), needs.join(' ')]
}

function referenceRow({ shape }: (typeof secretReferences)[number]): string[] {
  const keys = Object.entries(shape as Keys)
  const [first] = Object.keys(shape) as (keyof typeof permissions)[]
  if (first === undefined) throw new Error('a reference without a key')
  const form = `{ ${keys.map(([name]) => name).join(', ')} }`
  return [code(form), keys.map(([, key]) => meaningOf(key)).join(' '), code(permissions[first])]
}

function meaningOf(key: z.ZodType): string {
  const { description } = key.meta() ?? {}
  if (description === undefined) throw new Error(`a key has no description: ${acceptedBy(key)}`)
  return description
}

/** No key accepts a symbol: the answer of the schema is what an operator would read. */
function acceptedBy(key: z.ZodType): string {
  const [issue] = key.safeParse(Symbol('not accepted')).error?.issues ?? []
  if (issue === undefined) throw new Error('the schema accepts everything')
  return issue.message
}

function defaultOf(key: z.ZodType): string {
  const { success, data } = key.safeParse(undefined)
  if (!success) return 'required'
  if (data === undefined) return 'none'
  if (Array.isArray(data)) return data.length === 0 ? code('[]') : data.map(selectorText).join(', ')
  if (typeof data === 'object') return 'see below'
  return code(typeof data === 'string' ? data : JSON.stringify(data))
}

function selectorText(selector: Selector): string {
  return code(selector.kind === 'name' ? selector.name : `/${selector.pattern}/`)
}

const source = () =>
  [
    ...['config/defaults.ts', 'config/failover-limits.ts', 'offsets/fill-limits.ts'],
    ...['offsets/padding-limits.ts', 'sync/deletion-limits.ts'],
  ]
    .map(name => readFileSync(join(root, 'lib/core', name), 'utf8'))
    .join('\n')

/** The line comments above each `name: value,` of the defaults, by name. */
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

/** A row for each exported number, with the comment above it, in the order of the file. */
function fixedLimitRows(): string[][] {
  const found = [...source().matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport const (\w+) =/g)]
  const all = Object.entries({
    ...{ ...defaults, ...failoverLimits, ...fillLimits },
    ...{ ...paddingLimits, ...deletionLimits },
  })
  const values = new Map(all.filter(([, value]) => typeof value === 'number'))
  const rows = found.flatMap(([, comment = '', name = '']) =>
    values.has(name) ? [[code(name), code(String(values.get(name))), inOneLine(comment)]] : [],
  )
  if (rows.length !== values.size)
    throw new Error('lib/core/config/defaults.ts: a limit has no reason')
  return rows
}

function inOneLine(comment: string): string {
  return comment.replaceAll(/\s+(?:\* )?/g, ' ').trim()
}

function code(text: string): string {
  return `\`${text}\``
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`
}

if (import.meta.main) {
  writeFileSync(join(root, 'docs/CONFIG.md'), renderConfigReference())
  writeFileSync(join(root, 'docs/gapless.schema.json'), renderEditorSchema())
  const page = join(root, 'docs/MIRROR-MAKER.md')
  writeFileSync(page, withPropertyMap(readFileSync(page, 'utf8')))
}
