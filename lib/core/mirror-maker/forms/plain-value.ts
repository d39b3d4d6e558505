// Owns looking into values that were parsed from JSON or YAML and have no known shape. A value of
// another type counts as missing.

type PlainObject = Readonly<Record<string, unknown>>

export function isRecord(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object under the key; empty where there is none. */
export function recordIn(value: PlainObject, key: string): PlainObject {
  const found = value[key]
  return isRecord(found) ? found : {}
}

export function listIn(value: PlainObject, key: string): readonly unknown[] {
  const found = value[key]
  return Array.isArray(found) ? found : []
}

/** Numbers and switches as text, which is how Kafka reads them; null where there is none. */
export function textIn(value: PlainObject, key: string): string | null {
  const found = value[key]
  if (typeof found === 'string') return found
  return typeof found === 'number' || typeof found === 'boolean' ? String(found) : null
}
