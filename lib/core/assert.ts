// Owns the one way to say "this is our bug". An assertion stays on in production: a
// partition that runs on after its invariant broke would replicate garbage in silence, which
// is the one thing gapless must not do.

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws `AssertionError` when `condition` does not hold. Never caught in order to continue. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionError(`${what} (this is a bug in gapless, please report it)`)
}
