// Owns DynamoDB's condition and update expressions over rows in memory, as far as the stores use
// them. An expression that uses more throws. Does not own requests (memory-dynamodb.ts).

import type { StoredRow } from '../../../lib/core/row/row.ts'

export type Attribute = StoredRow[string]

export type Placeholders = {
  readonly names: Readonly<Record<string, string>>
  readonly values: Readonly<Record<string, Attribute>>
}

type Reader = {
  /** Takes the next token when it is this one. */
  takes(token: string): boolean
  take(): string
  peek(): string | undefined
}

const TOKENS = /[#:]?\w+|<>|<=|>=|[()=<>,]/g

function read(expression: string): Reader {
  const tokens = expression.match(TOKENS) ?? []
  let at = 0
  return {
    peek: () => tokens[at],
    take: () => {
      const token = tokens[at]
      if (token === undefined) throw new Error(`the expression ends too early: ${expression}`)
      at += 1
      return token
    },
    takes: token => {
      if (tokens[at] !== token) return false
      at += 1
      return true
    },
  }
}

export function holds(expression: string, row: StoredRow, placeholders: Placeholders): boolean {
  const reader = read(expression)
  const value = (token: string): Attribute | undefined =>
    token.startsWith(':') ? givenBy(placeholders, token) : row[nameOf(placeholders, token)]
  const either = (): boolean => {
    let found = both()
    while (reader.takes('OR')) found = both() || found
    return found
  }
  const both = (): boolean => {
    let found = one()
    while (reader.takes('AND')) found = one() && found
    return found
  }
  const one = (): boolean => {
    if (reader.takes('NOT')) return !one()
    if (reader.takes('(')) return closed(either())
    const token = reader.take()
    switch (token) {
      case 'attribute_exists':
        return call(([name]) => value(name ?? '') !== undefined)
      case 'attribute_not_exists':
        return call(([name]) => value(name ?? '') === undefined)
      case 'attribute_type':
        return call(([name, type]) => {
          const found = value(name ?? '')
          return found !== undefined && Object.keys(found)[0] === value(type ?? '')?.S
        })
      case 'size': {
        const size = call(([name]) => value(name ?? '')?.SS?.length)
        return compare(size === undefined ? undefined : { N: String(size) })
      }
      default:
        return compare(value(token))
    }
  }
  const closed = <T>(found: T): T => {
    if (!reader.takes(')')) throw new Error(`a parenthesis is missing: ${expression}`)
    return found
  }
  const call = <T>(of: (given: readonly string[]) => T): T => {
    if (!reader.takes('(')) throw new Error(`a parenthesis is missing: ${expression}`)
    const given = [reader.take()]
    while (reader.takes(',')) given.push(reader.take())
    return closed(of(given))
  }
  const compare = (left: Attribute | undefined): boolean => {
    const operator = reader.take()
    if (operator === 'IN') {
      return call(given => given.some(each => compared('=', left, value(each))))
    }
    const right = value(reader.take())
    return compared(operator, left, right)
  }
  const found = either()
  if (reader.peek() !== undefined) throw new Error(`${reader.peek()} is not known: ${expression}`)
  return found
}

function compared(
  operator: string,
  left: Attribute | undefined,
  right: Attribute | undefined,
): boolean {
  const isEqual = JSON.stringify(left) === JSON.stringify(right)
  if (operator === '<>') return !isEqual
  if (left === undefined || right === undefined) return false
  if (operator === '=') return isEqual
  if (left.N === undefined || right.N === undefined) return false
  const [from, to] = [Number(left.N), Number(right.N)]
  switch (operator) {
    case '<':
      return from < to
    case '<=':
      return from <= to
    case '>':
      return from > to
    case '>=':
      return from >= to
    default:
      throw new Error(`the operator ${operator} is not known`)
  }
}

const clauses = ['SET', 'REMOVE', 'ADD', 'DELETE']

/** The row after the update. The right sides are those of the row before. */
export function updated(
  expression: string,
  before: StoredRow,
  placeholders: Placeholders,
): StoredRow {
  const reader = read(expression)
  const after: Record<string, Attribute> = { ...before }
  const operand = (): Attribute | undefined => {
    const token = reader.take()
    if (token.startsWith(':')) return givenBy(placeholders, token)
    if (token !== 'if_not_exists') return before[nameOf(placeholders, token)]
    reader.takes('(')
    const known = before[nameOf(placeholders, reader.take())]
    reader.takes(',')
    const otherwise = givenBy(placeholders, reader.take())
    reader.takes(')')
    return known ?? otherwise
  }
  const perform: Record<string, () => void> = {
    SET: () => {
      const name = nameOf(placeholders, reader.take())
      reader.takes('=')
      const value = operand()
      if (value !== undefined) after[name] = value
    },
    REMOVE: () => {
      delete after[nameOf(placeholders, reader.take())]
    },
    ADD: () => {
      const name = nameOf(placeholders, reader.take())
      const more = operand()
      const known = before[name]
      after[name] =
        more?.SS === undefined
          ? { N: String(Number(known?.N ?? 0) + Number(more?.N)) }
          : { SS: [...new Set([...(known?.SS ?? []), ...more.SS])] }
    },
    DELETE: () => {
      const name = nameOf(placeholders, reader.take())
      const gone = new Set(operand()?.SS ?? [])
      const left = (before[name]?.SS ?? []).filter(each => !gone.has(each))
      // DynamoDB has no empty set.
      if (left.length === 0) delete after[name]
      else after[name] = { SS: left }
    },
  }
  while (reader.peek() !== undefined) {
    const clause = reader.take()
    if (!clauses.includes(clause)) throw new Error(`${clause} is not known: ${expression}`)
    do perform[clause]?.()
    while (reader.takes(','))
  }
  return after
}

function nameOf({ names }: Placeholders, token: string): string {
  const name = names[token]
  if (name === undefined) throw new Error(`${token} names no attribute`)
  return name
}

function givenBy({ values }: Placeholders, token: string): Attribute {
  const value = values[token]
  if (value === undefined) throw new Error(`${token} has no value`)
  return value
}
