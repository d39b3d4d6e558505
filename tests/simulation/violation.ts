// What a simulation ends with when something that must never be was seen.

export class Violation extends Error {
  override readonly name = 'Violation'
}

/** `invariant` as docs/SPEC.md numbers it. */
export function createViolation(invariant: string, what: string): Violation {
  return new Violation(`${invariant}: ${what}`)
}
