import fc from 'fast-check'
import { expect, test } from 'vitest'
import { partitionOfKey } from '../../../../cli/commit-log/key-partitioner.ts'
import { kafkajs } from '../../../../cli/kafkajs/load-kafkajs.ts'

test('a key goes to the partition that kafkajs and Java clients choose', () => {
  const reference = kafkajs.Partitioners.DefaultPartitioner()
  const ascii = fc.string({ unit: 'binary-ascii', maxLength: 50 })
  fc.assert(
    fc.property(ascii, fc.integer({ min: 1, max: 1_000 }), (key, count) => {
      const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
        partitionId,
        leader: 0,
        replicas: [],
        isr: [],
        partitionErrorCode: 0,
      }))
      const expected = reference({
        topic: 't',
        partitionMetadata,
        message: { key: Buffer.from(key), value: null },
      })
      expect(partitionOfKey(key, count)).toBe(expected)
    }),
  )
})
