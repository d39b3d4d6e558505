// Runs infra/build-image.sh with a shell script in the place of docker: what the script asks docker
// for, and what it refuses. No test here shows that the image runs.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { runCommand } from '../../../localstack/processes/os-process.ts'
import { root } from '../../support/source-tree.ts'

const repository = '123456789012.dkr.ecr.eu-central-1.amazonaws.com/gapless'
const baseDigest = `sha256:${'1'.repeat(64)}`
const pushedDigest = `sha256:${'2'.repeat(64)}`

let directory = ''
let calls = ''
let script = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gapless-image-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  calls = join(directory, 'calls')
  // The script finds the project by its own path.
  mkdirSync(join(directory, 'infra'))
  script = join(directory, 'infra', 'build-image.sh')
  writeFileSync(script, readFileSync(join(root, 'infra', 'build-image.sh')))
  mkdirSync(join(directory, 'build', 'image'), { recursive: true })
  writeFileSync(join(directory, 'build', 'image', 'Dockerfile'), 'FROM scratch\n')
  const docker = join(directory, 'docker')
  writeFileSync(
    docker,
    `#!/usr/bin/env bash
echo "$*" >> '${calls}'
case "$*" in
  *imagetools*) echo '${baseDigest}' ;;
  *"buildx build"*)
    while [[ $1 != --metadata-file ]]; do shift; done
    echo '{ "containerimage.digest": "${pushedDigest}" }' > "$2" ;;
esac
`,
  )
  chmodSync(docker, 0o755)
})

test('the base image is pinned to the digest that its tag names now, and the pushed image is named by its digest', async () => {
  const { code, output } = await build(repository)
  expect(code).toBe(0)
  expect(output).toContain(`Base image: public.ecr.aws/lambda/nodejs@${baseDigest}`)
  expect(output).toMatch(new RegExp(`^${repository}@${pushedDigest}$`, 'm'))
  const asked = readFileSync(calls, 'utf8')
  expect(asked).toContain('imagetools inspect public.ecr.aws/lambda/nodejs:24')
  expect(asked).toContain(
    '--platform linux/arm64 --provenance=false --sbom=false ' +
      `--build-arg BASE=public.ecr.aws/lambda/nodejs@${baseDigest}`,
  )
})

test('a base image that is given by digest is used, and no registry is asked', async () => {
  const base = `public.ecr.aws/lambda/nodejs@sha256:${'3'.repeat(64)}`
  expect((await build(repository, { BASE: base })).code).toBe(0)
  const asked = readFileSync(calls, 'utf8')
  expect(asked).toContain(`BASE=${base}`)
  expect(asked).not.toContain('imagetools')
})

test.each([
  ['no repository', '', {}, 'expected ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME'],
  ['a repository with a tag', `${repository}:latest`, {}, 'without a tag'],
  ['a base image by tag', repository, { BASE: 'public.ecr.aws/lambda/nodejs:24' }, 'BASE is'],
])('the script refuses %s with one line', async (_, given, env, sentence) => {
  const { code, output } = await build(given, env)
  expect(code).toBe(1)
  expect(output).toContain(sentence)
  expect(output.trim().split('\n')).toHaveLength(1)
  expect(existsSync(calls) && readFileSync(calls, 'utf8').includes('buildx build')).toBe(false)
})

test('without build/image the script says to run npm run package', async () => {
  rmSync(join(directory, 'build'), { recursive: true })
  expect(await build(repository)).toMatchObject({
    code: 1,
    output: expect.stringContaining('npm run package'),
  })
})

function build(given: string, env: Record<string, string> = {}) {
  return runCommand({
    command: 'bash',
    args: [script, given],
    env: { ...process.env, ...env, PATH: [directory, process.env.PATH].join(delimiter) },
  })
}
