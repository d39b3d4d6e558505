import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { packShards, type Work } from '../../../../lib/core/plan/shard-packing.ts'

function work(topic: string, partition: number, lagRecords: number): Work {
  return { topic, partition, lagRecords: BigInt(lagRecords) }
}

const nameOf = ({ topic, partition }: Work) => `${topic}-${partition}`
const lagOf = (shard: readonly Work[]) => shard.reduce((sum, each) => sum + each.lagRecords, 0n)

const someWork: fc.Arbitrary<Work[]> = fc.uniqueArray(
  fc.record({
    topic: fc.constantFrom('a', 'b', 'c'),
    partition: fc.nat(20),
    // Mostly alike, so that the order among equals shows.
    lagRecords: fc.bigInt({ min: 0n, max: 3n }),
  }),
  { selector: nameOf, maxLength: 60 },
)
const someLimits = fc.record({
  shardPartitionsMax: fc.integer({ min: 1, max: 8 }),
  workersMax: fc.integer({ min: 1, max: 6 }),
})

describe('packing partitions into shards', () => {
  test('packing puts every partition into exactly one place', () => {
    fc.assert(
      fc.property(someWork, someLimits, (all, limits) => {
        const { shards, deferred } = packShards(all, limits)
        const packed = [...shards.flat(), ...deferred].map(nameOf)
        expect(packed.sort()).toEqual(all.map(nameOf).sort())
      }),
    )
  })

  test('packing keeps both limits, starts no empty worker, and defers only work that does not fit', () => {
    fc.assert(
      fc.property(someWork, someLimits, (all, limits) => {
        const { shards, deferred } = packShards(all, limits)
        expect(shards.length).toBeLessThanOrEqual(limits.workersMax)
        for (const shard of shards) {
          expect(shard.length).toBeGreaterThan(0)
          expect(shard.length).toBeLessThanOrEqual(limits.shardPartitionsMax)
        }
        const capacity = limits.shardPartitionsMax * limits.workersMax
        expect(deferred.length).toBe(Math.max(0, all.length - capacity))
      }),
    )
  })

  test('packing gives the same shards for the same partitions in any order', () => {
    const shuffled = someWork.chain(all =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    )
    fc.assert(
      fc.property(shuffled, someLimits, ([all, again], limits) => {
        expect(packShards(again, limits)).toEqual(packShards(all, limits))
      }),
    )
  })

  test('packing defers the partitions with the least lag', () => {
    fc.assert(
      fc.property(someWork, someLimits, (all, limits) => {
        const { shards, deferred } = packShards(all, limits)
        const taken = shards.flat().map(each => each.lagRecords)
        const least = taken.reduce((min, lag) => (lag < min ? lag : min), 1_000n)
        for (const each of deferred) expect(each.lagRecords).toBeLessThanOrEqual(least)
      }),
    )
  })

  test('a partition far behind gets a shard of its own', () => {
    const small = Array.from({ length: 6 }, (_, partition) => work('small', partition, 10))
    const { shards } = packShards([...small, work('hot', 0, 10_000)], {
      shardPartitionsMax: 6,
      workersMax: 4,
    })
    expect(shards.map(shard => shard.map(nameOf))).toContainEqual(['hot-0'])
    expect(shards.map(lagOf).sort()).toEqual([10_000n, 60n])
  })

  test('packing does not change its input', () => {
    const all = Object.freeze([work('a', 1, 1), work('a', 0, 2)])
    packShards(all, { shardPartitionsMax: 1, workersMax: 1 })
    expect(all.map(nameOf)).toEqual(['a-1', 'a-0'])
  })
})
