import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { renderEditorSchema } from '../../../docs/editor-schema.ts'
import { renderConfigReference } from '../../../docs/generate-config.ts'
import { withPropertyMap } from '../../../docs/mirror-maker-table.ts'

const root = join(import.meta.dirname, '../../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

test('docs/CONFIG.md is what `npm run docs` writes', () => {
  expect(read('docs/CONFIG.md')).toBe(renderConfigReference())
})

test('docs/MIRROR-MAKER.md has the property map that `npm run docs` writes', () => {
  const page = read('docs/MIRROR-MAKER.md')
  expect(page).toBe(withPropertyMap(page))
})

test('every default of the configuration has a reason in docs/CONFIG.md', () => {
  const rows = renderConfigReference()
    .split('\n')
    .filter(line => /^\| `/.test(line))
    .map(line => line.split(/(?<!\\)\|/).map(cell => cell.trim()))
    .filter(cells => cells.length === 7 && cells[4] !== 'required')
  expect(rows.length).toBeGreaterThan(15)
  expect(rows.filter(cells => cells[5] === '').map(cells => cells[1])).toEqual([])
})

describe('the schema for editors', () => {
  const example = read('gapless.yml')
  const schema = JSON.parse(renderEditorSchema())
  // Strict: a word that JSON Schema does not know is an error, and not ignored.
  const validate = new Ajv({ strict: true, allErrors: true, strictTypes: false }).compile(schema)
  /** Where an editor would draw a line under the text, and why. */
  const complaintsAbout = (text: string) => {
    validate(parse(text))
    return (validate.errors ?? []).map(({ instancePath, keyword }) => `${instancePath} ${keyword}`)
  }
  const withFlow = (lines: string) => `${example.trimEnd()}\n    ${lines}\n`

  test('docs/gapless.schema.json is what `npm run docs` writes, and gapless.yml names it', () => {
    expect(read('docs/gapless.schema.json')).toBe(renderEditorSchema())
    expect(example).toMatch(/^# yaml-language-server: \$schema=docs\/gapless\.schema\.json\n/)
  })

  test('an editor accepts gapless.yml as it is, with its variables not yet replaced', () => {
    expect(example).toContain(`\${GAPLESS_PRIMARY_PORT:-9092}`)
    expect(complaintsAbout(example)).toEqual([])
  })

  test.each([
    ['a misspelt key', 'onTrunkation: halt', '/flows/0 additionalProperties'],
    ['a value that is not accepted', 'budgets: { leaseMs: 1 }', '/flows/0/budgets/leaseMs minimum'],
    ['a text that is no number', 'budgets: { leaseMs: soon }', '/flows/0/budgets/leaseMs pattern'],
  ])('an editor refuses %s', (_case, lines, complaint) => {
    expect(complaintsAbout(withFlow(lines))).toContain(complaint)
  })

  test.each([
    ['a variable', `budgets: { leaseMs: "\${LEASE}" }`],
    ['digits in quotes', 'budgets: { leaseMs: "30000" }'],
  ])('an editor accepts %s where a number is expected', (_case, lines) => {
    expect(complaintsAbout(withFlow(lines))).toEqual([])
  })

  test.each([
    ['one text with several brokers', 'brokers: "b1:9092,b2:9092"'],
    ['a switch from the environment', `brokers: ["b:1"], tls: "\${TLS}"`],
    [
      'secrets by reference',
      'brokers: ["b:1"], tls: { ca: { ssm: /ca } }, sasl: { mechanism: plain, username: u, password: { secretsManager: s } }',
    ],
    [
      'a token endpoint',
      'brokers: ["b:1"], sasl: { mechanism: oauthbearer, token: { url: "https://id/t", clientId: a, clientSecret: b } }',
    ],
    ['MSK IAM', 'brokers: ["b:1"], tls: true, sasl: { mechanism: aws-msk-iam, region: eu-west-1 }'],
  ])('an editor accepts a cluster with %s', (_case, cluster) => {
    const text = example.replace(/^ {2}primary: .*$/m, () => `  primary: { ${cluster} }`)
    expect(complaintsAbout(text)).toEqual([])
  })

  test('every key of a cluster, a flow and its budgets has a description', () => {
    const { clusters, flows } = schema.properties
    const flow = flows.items.properties
    const objects = [clusters.additionalProperties.properties, flow, flow.budgets.properties]
    const keys = objects.flatMap(each => Object.entries<{ description?: string }>(each))
    expect(keys.length).toBeGreaterThan(20)
    expect(keys.filter(([, key]) => !key.description).map(([name]) => name)).toEqual([])
  })
})
