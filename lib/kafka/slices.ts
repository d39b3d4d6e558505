// Owns work that is done in slices. A batch of a megabyte may hold more than a million records; all
// of them at once would block the process for longer than a lease may wait to be renewed. The work
// stops after every slice, and the caller decides what happens in between (lib/run/in-slices.ts
// lets timers and answers in).

/** Yields after every slice; its result comes last. May throw at any step, as the work says. */
export type Steps<T> = Generator<void, T, void>

/** Records handled in one slice: 10 to 20 ms. */
export const sliceRecords = 65_536

/** Does all slices at once. */
export function doAtOnce<T>(steps: Steps<T>): T {
  let step = steps.next()
  // Ends: every step handles a slice, and no work is without an end.
  while (!step.done) step = steps.next()
  return step.value
}
