// The bytes of a heartbeat are those of MirrorMaker 2, and records of others are no heartbeats.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeHeartbeat,
  encodeHeartbeat,
  type Heartbeat,
  newestHeartbeat,
} from '../../../../lib/core/sync/heartbeat.ts'

const heartbeat = fc.record({
  source: fc.string({ maxLength: 40 }),
  target: fc.string({ maxLength: 40, unit: 'grapheme' }),
  atMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
})

test('the key is two strings with lengths of 16 bits, the value a version of 0 and the time', () => {
  const { key, value } = encodeHeartbeat({ source: 'a', target: 'bé', atMs: 0x0102030405 })
  expect(key.toString('hex')).toBe('0001610003' + '62c3a9')
  expect(value.toString('hex')).toBe('00000000000102030405')
})

test('what was encoded is read back', () => {
  fc.assert(
    fc.property(heartbeat, each => {
      const { key, value } = encodeHeartbeat(each)
      expect(decodeHeartbeat(key, value)).toEqual(each)
    }),
  )
})

test('a record cut off anywhere, of another version or with null fields is none, and never an error', () => {
  fc.assert(
    fc.property(heartbeat, fc.nat(), (each, cut) => {
      const { key, value } = encodeHeartbeat(each)
      const shorter = key.subarray(0, cut % key.length)
      expect(decodeHeartbeat(shorter, value)).toBe(null)
      expect(decodeHeartbeat(key, value.subarray(0, cut % value.length))).toBe(null)
      expect(decodeHeartbeat(null, value)).toBe(null)
      expect(decodeHeartbeat(key, null)).toBe(null)
      const newer = Buffer.from(value)
      newer.writeInt16BE(1, 0)
      expect(decodeHeartbeat(key, newer)).toBe(null)
    }),
  )
})

test('any bytes are read without an error', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (key, value) => {
      expect(() => decodeHeartbeat(Buffer.from(key), Buffer.from(value))).not.toThrow()
    }),
  )
})

test('the newest one of a pair of clusters counts, whatever their order in the log', () => {
  const of = (source: string, atMs: number): Heartbeat => ({ source, target: 'b', atMs })
  const all = [of('a', 5), of('other', 90), of('a', 7), of('a', 6)]
  expect(newestHeartbeat(all, { source: 'a', target: 'b' })).toEqual(of('a', 7))
  expect(newestHeartbeat(all, null)).toEqual(of('other', 90))
  expect(newestHeartbeat(all, { source: 'nobody', target: 'b' })).toBe(null)
})
