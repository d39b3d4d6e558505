// Owns rows of the table as plain attribute values, and typed access to them. Integers are written
// and read as decimal strings, never through a float; an attribute in any form that gapless does
// not write is a `CorruptRowError`. Does not own which attributes a row has (checkpoint.ts,
// incident-row.ts) nor the requests (io/).

/** The attribute types this project writes; assignable to the SDK's `AttributeValue`. */
export type Attribute = { S: string } | { N: string } | { SS: string[] }
export type Row = Record<string, Attribute>

/**
 * A row as it is stored, by gapless or by hand; the SDK's `AttributeValue` is assignable to it.
 */
export type StoredRow = Readonly<
  Record<
    string,
    {
      readonly S?: string
      readonly N?: string
      readonly BOOL?: boolean
      readonly SS?: readonly string[]
    }
  >
>

/** A row in a form that gapless does not write. Its partition or incident cannot proceed. */
export class CorruptRowError extends Error {
  override readonly name = 'CorruptRowError'
}

/** The attributes that a write sets, and the attributes that it removes. */
export type RowChange = { readonly present: Row; readonly absent: readonly string[] }

export function rowChange(attributes: Readonly<Record<string, Attribute | null>>): RowChange {
  const present: Row = {}
  const absent: string[] = []
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) absent.push(name)
    else present[name] = value
  }
  return { present, absent }
}

export function textAttribute(value: string | null | undefined): Attribute | null {
  return value === null || value === undefined ? null : { S: value }
}

export function numberAttribute(value: bigint | number | null | undefined): Attribute | null {
  return value === null || value === undefined ? null : { N: String(value) }
}

const INT64_MAX = 2n ** 63n - 1n

// An error is one line, and an attribute may have 400 KB (DynamoDB's limit of an item).
const SHOWN_LENGTH_MAX = 120

export type RowReader = ReturnType<typeof rowReader>

/**
 * Typed access to a row. Every accessor throws `CorruptRowError` naming
 * row, attribute and expectation.
 */
export function rowReader(row: StoredRow) {
  const corrupt = (name: string, expected: string) =>
    new CorruptRowError(
      `Row ${shown(row.pk?.S)} ${shown(row.sk?.S)}: attribute ${name} is ` +
        `${shown(row[name])}, expected ${expected}`,
    )
  const text = (name: string): string => {
    const value = row[name]?.S
    if (value === undefined) throw corrupt(name, 'a string')
    return value
  }
  /** A set of texts, in alphabetical order. */
  const texts = (name: string): string[] => {
    const value = row[name]?.SS
    if (value === undefined) throw corrupt(name, 'a set of strings')
    return [...value].sort()
  }
  const integer = (name: string): bigint => {
    const value = row[name]?.N
    if (value === undefined || !/^-?\d+$/.test(value)) throw corrupt(name, 'an integer')
    return BigInt(value)
  }
  /** 0 to 2^63-1: offsets, and counts of them. */
  const offset = (name: string): bigint => {
    const value = integer(name)
    if (value < 0n || value > INT64_MAX) throw corrupt(name, 'an integer from 0 to 2^63-1')
    return value
  }
  /** Times in ms, fences, epochs: far below 2^53, where a Number is exact. */
  const number = (name: string): number => {
    const value = Number(integer(name))
    if (!Number.isSafeInteger(value)) throw corrupt(name, 'an integer below 2^53')
    return value
  }
  const optional = <T>(name: string, readValue: (name: string) => T): T | null =>
    row[name] === undefined ? null : readValue(name)
  return { text, texts, integer, offset, number, optional, corrupt }
}

function shown(value: unknown): string {
  const whole = JSON.stringify(value) ?? 'missing'
  return whole.length <= SHOWN_LENGTH_MAX ? whole : `${whole.slice(0, SHOWN_LENGTH_MAX)}…`
}
