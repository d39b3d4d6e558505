// Owns assertions: the one way to report a bug of gapless itself. They stay on in production: a
// partition that goes on after its invariant broke would replicate wrong records unnoticed.

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws `AssertionError` when `condition` does not hold. Never caught in order to continue. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionError(`${what} (this is a bug in gapless, please report it)`)
}
