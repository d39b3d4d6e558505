// Owns a sample of bounded size from any number of values: every k-th value, where k doubles when
// the sample is full. No randomness: the same values give the same sample. Its percentiles
// approximate those of all values.

/**
 * Values of one metric in one line. CloudWatch accepts 100; at 100 the sink starts a second line.
 */
export const sampleSizeMax = 99

export type LatencySample = {
  add(value: number): void
  /** The values sampled since the last call, in order. */
  take(): number[]
}

export function createLatencySample(): LatencySample {
  let kept: number[] = []
  let stride = 1
  let seen = 0
  return {
    add(value) {
      if (seen % stride === 0) kept.push(value)
      seen += 1
      if (kept.length <= sampleSizeMax) return
      stride *= 2
      kept = kept.filter((_, index) => index % 2 === 0)
    },
    take() {
      const taken = kept
      kept = []
      stride = 1
      seen = 0
      return taken
    },
  }
}
