// Requests are counted by their frames: the count is right wherever the network cuts the stream.

import { expect, test } from 'vitest'
import { createFrameCounter } from '../../../bench/compare/records/counting-proxy.ts'

function frame(bytes: number): Buffer {
  const whole = Buffer.alloc(4 + bytes, 0xff)
  whole.writeInt32BE(bytes, 0)
  return whole
}

test('every request is counted once, wherever the chunks are cut', () => {
  const sent = Buffer.concat([frame(10), frame(1), frame(0), frame(300), frame(7)])
  for (let step = 1; step <= sent.length; step += 1) {
    const count = createFrameCounter()
    let frames = 0
    for (let at = 0; at < sent.length; at += step) frames += count(sent.subarray(at, at + step))
    expect(frames).toBe(5)
  }
})
