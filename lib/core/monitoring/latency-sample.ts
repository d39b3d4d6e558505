// Owns a sample of bounded size of any number of values: one in k, evenly, where k doubles
// whenever there are too many. Without chance, so the same values give the same sample, and
// percentiles of it are those of the whole as far as its size tells.

/**
 * Values of one metric in one line: CloudWatch takes a hundred, and at that one the sink splits.
 */
export const sampleSizeMax = 99

export type LatencySample = {
  add(value: number): void
  /** What was sampled since the last time, in order. */
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
