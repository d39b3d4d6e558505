// The bundle that a cold start loads holds the modules that the functions use, and no others.

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundleFunctions } from '../../../infra/bundle.ts'

const BUNDLE_TIMEOUT_MS = 60_000

let directory = ''
let modules: string[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gapless-bundle-'))
  const files = await bundleFunctions(directory)
  const paths = files.map(({ path }) => path).filter(path => path.endsWith('.mjs'))
  modules = await Promise.all(paths.map(path => readFile(path, 'utf8')))
}, BUNDLE_TIMEOUT_MS)

afterAll(() => rm(directory, { recursive: true, force: true }))

const isBundled = (text: string) => modules.some(each => each.includes(text))

test('the protocol and the connections of the Kafka client are bundled', () => {
  expect(isBundled('ListOffsets')).toBe(true)
  expect(isBundled('leaves the schemas of options out')).toBe(true)
})

test('kafkajs is not in the bundle: the functions never load it', () => {
  expect(isBundled('KafkaJSNumberOfRetriesExceeded')).toBe(false)
})

test('the producer, consumer and admin of the Kafka client, and the compiler of their schemas, are not bundled', () => {
  // A sentence of the compiler, an option of the consumer, and the codec of schema registries.
  expect(isBundled('strict mode: ')).toBe(false)
  expect(isBundled('maxFetches')).toBe(false)
  expect(isBundled('confluent')).toBe(false)
})
