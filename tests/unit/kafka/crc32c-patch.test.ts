import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../../lib/kafka/crc32c.ts'
import { patchedCrc32c } from '../../../lib/kafka/crc32c-patch.ts'
import { plainCrc32c } from './batches.ts'

describe('patchedCrc32c', () => {
  test('a patched checksum equals the plain checksum, whatever bytes surround the changed region', () => {
    const bytes = fc.uint8Array({ maxLength: 400 })
    fc.assert(
      fc.property(
        bytes,
        bytes,
        bytes,
        fc.infiniteStream(fc.nat(255)),
        (front, old, rest, noise) => {
          const changed = old.map(() => noise.next().value ?? 0)
          const patched = patchedCrc32c({
            crc: plainCrc32c(Buffer.concat([front, old, rest])),
            headerBefore: crc32c(old, 0, old.length),
            headerAfter: crc32c(changed, 0, changed.length),
            bytesAfterRegion: rest.length,
          })
          expect(patched).toBe(plainCrc32c(Buffer.concat([front, changed, rest])))
        },
      ),
    )
  })

  test('a patched checksum of damaged bytes stays wrong, so the damage stays visible', () => {
    const before = Buffer.from('header-old, payload')
    const damaged = Buffer.from('header-new, paYload')
    const patched = patchedCrc32c({
      crc: plainCrc32c(before),
      headerBefore: plainCrc32c(before.subarray(0, 10)),
      headerAfter: plainCrc32c(damaged.subarray(0, 10)),
      bytesAfterRegion: 9,
    })
    expect(patched).not.toBe(plainCrc32c(damaged))
  })

  // Moving by a + b bytes is moving by a, then by b. Reaches lengths that no test could checksum,
  // among them those where a table of 32 powers that starts over would be wrong (2^29 and more).
  test('a difference shifts by any length up to 2^31-1 in any number of steps', () => {
    const by = (bytesAfterRegion: number, difference: number) =>
      patchedCrc32c({ crc: 0, headerBefore: 0, headerAfter: difference, bytesAfterRegion })
    const half = fc.nat(2 ** 30 - 1)
    fc.assert(
      fc.property(half, half, fc.nat(0xffff_ffff), (a, b, difference) => {
        expect(by(a + b, difference)).toBe(by(b, by(a, difference)))
      }),
      { examples: [[2 ** 29, 2 ** 29, 1]] },
    )
  })

  test('a length gives the same checksum whether it is cached, evicted or new', () => {
    const by = (bytesAfterRegion: number) =>
      patchedCrc32c({ crc: 7, headerBefore: 1, headerAfter: 2, bytesAfterRegion })
    // 16,384 apart: these lengths share a slot of the cache and push each other out.
    const lengths = [0, 16_384, 32_768, 5, 16_389]
    const first = lengths.map(by)
    expect(lengths.map(by)).toEqual(first)
    expect([...lengths].reverse().map(by)).toEqual([...first].reverse())
    expect(new Set(first).size).toBe(lengths.length)
  })

  test.each([-1, 0.5, 2 ** 31, Number.NaN])('refuses %d bytes after the region', count => {
    const changed = { crc: 0, headerBefore: 0, headerAfter: 1, bytesAfterRegion: count }
    expect(() => patchedCrc32c(changed)).toThrow(RangeError)
  })
})
