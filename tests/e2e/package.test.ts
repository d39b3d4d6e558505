// The artefacts that npm run package makes, and the configurations that it refuses.
// entrypoint.test.ts runs the artefacts; template.test.ts reads the template.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { packageFunctions } from '../../infra/package.ts'
import { runCommand } from '../../localstack/processes/os-process.ts'
import { root } from '../support/source-tree.ts'
import { exampleImage, strangersEnvironment } from '../support/stack-template.ts'

let directory = ''

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'gapless-package-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('npm run package makes the bundle, the context of the image and the template, offline and without Docker', async () => {
  mkdirSync(join(directory, 'certificates'))
  writeFileSync(join(directory, 'certificates', 'ca.pem'), 'a certificate')
  const config = writeConfig('tls.yml', { tls: { ca: 'certificates/ca.pem' } })
  const { code, output } = await run(['--config', config, '--image', exampleImage])

  expect(output).toContain('the functions (')
  expect(output).toContain('127.0.0.1:9092, which a function in AWS cannot reach')
  expect(code).toBe(0)
  const image = join(directory, 'build', 'image')
  for (const file of ['plan.mjs', 'replicate.mjs', 'certificates/ca.pem']) {
    expect(existsSync(join(image, file)), file).toBe(true)
  }
  expect(readFileSync(join(image, 'gapless.yml'), 'utf8')).toBe(readFileSync(config, 'utf8'))
  const dockerfile = readFileSync(join(image, 'Dockerfile'), 'utf8')
  expect(dockerfile).toMatch(/^ARG BASE\nFROM \$\{BASE\}$/m)
  expect(dockerfile).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m)
  const template = join(directory, 'build', 'cloudformation')
  const file = join(template, 'cloudformation-template-update-stack.json')
  expect(readFileSync(file, 'utf8')).toContain(exampleImage)
})

test('an image by tag is refused before anything is made', async () => {
  const image = '123456789012.dkr.ecr.eu-central-1.amazonaws.com/gapless:latest'
  await expect(pack({ image })).rejects.toThrow(/expected ACCOUNT.*@sha256:DIGEST/)
})

test('a configuration that the functions could not use is refused with its line', async () => {
  // HOME is set in this process, but not in the environment of the functions.
  const config = writeConfig('variable.yml', { brokers: ['${' + 'HOME}:9092'] })
  await expect(pack({ config })).rejects.toThrow(/^[^\n]*variable\.yml:1: [^\n]*HOME[^\n]*$/)
})

test('a configuration that the functions read from AWS is checked, and is no part of the image', async () => {
  const config = writeConfig('remote.yml', { tls: { ca: 'certificates/ca.pem' } })
  const configArn = 'arn:aws:ssm:us-east-1:000000000000:parameter/gapless/prod'
  const params = ['config=ssm:/gapless/prod', 'configAccess=ssm', `configArn=${configArn}`]
  await pack({ config, params })
  expect(existsSync(join(directory, 'image', 'gapless.yml'))).toBe(false)
  expect(existsSync(join(directory, 'image', 'plan.mjs'))).toBe(true)
})

test('a certificate that would not be in the image is refused', async () => {
  const config = writeConfig('outside.yml', { tls: { ca: '/etc/hostname' } })
  await expect(pack({ config })).rejects.toThrow(
    /^clusters\.primary\.tls\.ca is \/etc\/hostname, outside of [^\n]+$/,
  )
})

function pack(input: { image?: string; config?: string; params?: readonly string[] }) {
  const { image = null, config = writeConfig('gapless.yml', {}), params = [] } = input
  return packageFunctions({ stage: 'prod', image, config, params, directory })
}

function run(args: readonly string[]) {
  return runCommand({
    command: process.execPath,
    args: [join(root, 'infra', 'package.ts'), ...args, '--directory', join(directory, 'build')],
    cwd: root,
    env: strangersEnvironment(directory),
  })
}

function writeConfig(file: string, primary: Record<string, unknown>): string {
  const path = join(directory, file)
  const flow = { name: 'flow', from: 'primary', to: 'standby', topics: ['commit-log'] }
  const clusters = {
    primary: { brokers: ['broker.example:9092'], ...primary },
    standby: { brokers: ['127.0.0.1:9092'] },
  }
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ clusters, flows: [flow] }))
  return path
}
