// Damages the bytes of an answer the ways a test wants them damaged. Used by the tests of the
// Produce and Fetch codecs.

import { expect } from 'vitest'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'

/** Cut off at every byte, the answer is refused, and with nothing but a DecodeError. */
export function expectRefusedWhenCut(bytes: Buffer, decode: (bytes: Buffer) => unknown): void {
  for (let kept = 0; kept < bytes.length; kept++) {
    expect(() => decode(bytes.subarray(0, kept))).toThrow(DecodeError)
  }
}

/** With one byte replaced by any value, at any place, decoding returns or throws a DecodeError. */
export function expectAnswerOrRefusal(bytes: Buffer, decode: (bytes: Buffer) => unknown): void {
  for (let at = 0; at < bytes.length; at++) {
    for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
      const damaged = Buffer.from(bytes)
      damaged[at] = value
      try {
        decode(damaged)
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError)
      }
    }
  }
}
