import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fateOf, propertyMap } from '../../../../lib/core/mirror-maker/properties/property-map.ts'

const root = join(import.meta.dirname, '../../../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** Written by a Java program from Kafka's own definitions, see tests/integration/import.test.ts. */
const defined = read('tests/golden/mirror-maker/properties-of-kafka.txt').trim().split('\n')

describe('every property', () => {
  test('that MirrorMaker 2 or one of its clients defines has a key in gapless.yml, or a reason', () => {
    expect(defined.length).toBeGreaterThan(400)
    expect(defined.filter(each => fateOf(each).kind === 'not-read')).toEqual([])
  })

  test('without a key has a reason; a key is one of docs/CONFIG.md', () => {
    const page = read('docs/CONFIG.md')
    for (const { names, fate } of propertyMap.flatMap(({ rows }) => rows)) {
      if (fate.kind !== 'mapped') expect(fate.why, names.join()).not.toBe('')
      const keys = fate.kind === 'mapped' ? fate.to.split(', ') : []
      for (const key of keys) {
        const last = key.split('.').at(-1) ?? ''
        const isTop = ['clusters', 'flows[]'].includes(key)
        expect(isTop || page.includes(`\`${last}\``), key).toBe(true)
      }
    }
  })
})

test('a name that nobody reads is told from one without a counterpart', () => {
  expect(fateOf('replication.polcy.separator').kind).toBe('not-read')
  expect(fateOf('replication.factor').kind).toBe('no-counterpart')
  expect(fateOf('consumer.ssl.truststore.location')).toEqual(fateOf('ssl.truststore.location'))
})
