// Owns running the same work for many items, with a bound on how many are in progress.

/** Calls `work` for every item, at most `inFlightMax` at once. Rejects with the first rejection. */
export async function concurrently<T>(
  items: readonly T[],
  inFlightMax: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const remaining = items.values()
  const worker = async () => {
    for (const item of remaining) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(inFlightMax, items.length) }, worker))
}
