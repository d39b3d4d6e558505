import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { renderImport } from '../../../../cli/import/import-text.ts'
import { importMirror } from '../../../../lib/core/mirror-maker/import.ts'
import { loadConfig } from '../../../../lib/io/config/config-file.ts'
import { readMirror } from '../../../../lib/io/mirror-maker/mirror-files.ts'

/** One folder for each case: what people have in `in`, and beside it what becomes of it. */
const golden = join(import.meta.dirname, '../../../golden/mirror-maker')
const cases = readdirSync(golden, { withFileTypes: true })
  .filter(each => each.isDirectory())
  .map(each => each.name)

const variables = { DC2_BROKERS: 'dc2:9093', CLOUD_USER: 'mirror', AWS_REGION: 'eu-west-1' }

/** Passwords in the files of all cases. */
const secrets = ['changeit', 's3cr', 'hidden-1', 'x}']

async function imported(name: string) {
  const files = join(golden, name, 'in')
  return importMirror(await readMirror([files]), ['in'])
}

describe.each(cases)('%s', name => {
  // `npx vitest run --project unit tests/unit/io/mirror-maker -u` writes the files again.
  test('becomes the gapless.yml and the report beside it', async () => {
    const report = await imported(name)
    await expect(report.config).toMatchFileSnapshot(join(golden, name, 'gapless.yml'))
    const text = await renderImport(report)
    await expect(`${text}\n`).toMatchFileSnapshot(join(golden, name, 'report.txt'))
  })

  test('is accepted by gapless, in a stage that is not local', async () => {
    const env = { ...variables, GAPLESS_STAGE: 'prod' }
    const { flows } = await loadConfig(join(golden, name, 'gapless.yml'), env)
    const report = await imported(name)
    expect(flows.map(each => each.name)).toEqual(report.flows.map(each => each.name))
  })

  test('has each reference to a secret among the secrets to be put in place, and the other way', async () => {
    const report = await imported(name)
    const found = referencesIn(parse(report.config))
    expect(found.toSorted()).toEqual(
      report.secrets.map(each => `${each.secret} ${each.key}`).toSorted(),
    )
  })

  test('accounts for each of its properties, and tells no secret', async () => {
    const report = await imported(name)
    expect(report.properties.length).toBeGreaterThan(10)
    for (const { outcome, key, reason } of report.properties) {
      expect(outcome === 'mapped' ? key : reason).toBeTruthy()
    }
    const told = JSON.stringify(report)
    expect(secrets.filter(each => told.includes(each))).toEqual([])
  })
})

test('the cases hold the secrets that must not be told', () => {
  const all = cases.flatMap(name => {
    const folder = join(golden, name, 'in')
    return readdirSync(folder).map(file => readFileSync(join(folder, file), 'utf8'))
  })
  expect(secrets.filter(each => !all.join('\n').includes(each))).toEqual([])
})

function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  if ('secretsManager' in value && 'key' in value) return [`${value.secretsManager} ${value.key}`]
  return Object.values(value).flatMap(referencesIn)
}
