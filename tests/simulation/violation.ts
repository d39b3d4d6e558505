// Owns the error that ends a simulation when an invariant is broken.

export class Violation extends Error {
  override readonly name = 'Violation'
}

/** `invariant` as docs/SPEC.md numbers it. */
export function createViolation(invariant: string, what: string): Violation {
  return new Violation(`${invariant}: ${what}`)
}
