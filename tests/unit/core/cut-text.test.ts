import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cutText } from '../../../lib/core/cut-text.ts'

test('a text that fits is as it was, and a longer one says how many bytes are left out', () => {
  expect(cutText('a'.repeat(100), 100)).toBe('a'.repeat(100))
  expect(cutText('a'.repeat(101), 100)).toBe(`${'a'.repeat(76)}… (25 bytes left out)`)
})

test('a cut text has at most the bytes of its bound, divides no character, and accounts for every byte', () => {
  const texts = fc.string({ unit: 'grapheme', maxLength: 300 })
  fc.assert(
    fc.property(texts, fc.integer({ min: 40, max: 400 }), (text, bytesMax) => {
      const cut = cutText(text, bytesMax)
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(bytesMax)
      if (cut === text) return
      const [, kept = '', leftOut] = /^(.*)… \((\d+) bytes left out\)$/s.exec(cut) ?? []
      expect(text.startsWith(kept)).toBe(true)
      expect(Buffer.byteLength(kept) + Number(leftOut)).toBe(Buffer.byteLength(text))
    }),
  )
})
