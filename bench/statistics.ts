// Statistics of samples. Results have the unit of the samples.

/** The smallest sample that at least `share` of all samples do not exceed; `share` from 0 to 1. */
export function percentile(sorted: readonly number[], share: number): number {
  const at = Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))
  return sorted[at] ?? Number.NaN
}

export function sortedOf(samples: readonly number[]): number[] {
  return [...samples].sort((left, right) => left - right)
}

export function median(samples: readonly number[]): number {
  return percentile(sortedOf(samples), 0.5)
}

/** A figure for a table: two decimals below ten, otherwise none. */
export function shown(value: number): string {
  return value.toFixed(Math.abs(value) < 10 ? 2 : 0)
}
