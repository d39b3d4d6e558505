// Hands bytes to a decoder the ways a socket may deliver them, and damages them the ways a test
// wants them damaged. Used by the tests of the Produce and Fetch codecs.

import { Reader, Writer } from '@platformatic/kafka'
import { expect } from 'vitest'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'

/** A reader as a connection makes it, over `bytes` that arrived in chunks ending at `cuts`. */
export function readerOf(bytes: Buffer, cuts: readonly number[] = []): Reader {
  const ends = [...new Set([...cuts, bytes.length])].sort((left, right) => left - right)
  const chunks = Writer.create()
  let start = 0
  for (const end of ends) {
    if (end > start) chunks.append(Buffer.from(bytes.subarray(start, end)))
    start = end
  }
  return Reader.from(chunks)
}

/** Cut off at every byte, the answer is refused, and with nothing but a DecodeError. */
export function expectRefusedWhenCut(bytes: Buffer, decode: (reader: Reader) => unknown): void {
  for (let kept = 0; kept < bytes.length; kept++) {
    expect(() => decode(readerOf(bytes.subarray(0, kept), [kept >> 1]))).toThrow(DecodeError)
  }
}

/** With one byte replaced by any value, at any place, decoding answers or throws a DecodeError. */
export function expectAnswerOrRefusal(bytes: Buffer, decode: (reader: Reader) => unknown): void {
  for (let at = 0; at < bytes.length; at++) {
    for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
      const damaged = Buffer.from(bytes)
      damaged[at] = value
      try {
        decode(readerOf(damaged))
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError)
      }
    }
  }
}
