// Owns the one form in which a person reads a time: ISO 8601, in UTC.

/** `2026-03-01T12:00:00.000Z` for a Unix time in ms. */
export function isoTime(atMs: number): string {
  return new Date(atMs).toISOString()
}
