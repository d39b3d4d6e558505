// Owns DynamoDB's update expressions. Every name and value has a placeholder (`#state`, `:state`),
// because DynamoDB reserves many words as names, `state` and `owner` among them.

import type { Row } from '../../core/row/row.ts'

export type UpdateParts = {
  readonly set?: Row
  /** Attributes that are set only when the row lacks them. */
  readonly setIfAbsent?: Row
  readonly remove?: readonly string[]
}

export type UpdateExpression = {
  readonly UpdateExpression: string
  readonly ExpressionAttributeNames: Record<string, string>
  readonly ExpressionAttributeValues: Row
}

export function updateExpression(parts: UpdateParts): UpdateExpression {
  const { set = {}, setIfAbsent = {}, remove = [] } = parts
  const assignments = [
    ...Object.keys(set).map(name => `#${name} = :${name}`),
    ...Object.keys(setIfAbsent).map(name => `#${name} = if_not_exists(#${name}, :${name})`),
  ]
  const removals = remove.map(name => `#${name}`)
  return {
    UpdateExpression: [
      ...(assignments.length === 0 ? [] : [`SET ${assignments.join(', ')}`]),
      ...(removals.length === 0 ? [] : [`REMOVE ${removals.join(', ')}`]),
    ].join(' '),
    ExpressionAttributeNames: namesOf([
      ...Object.keys(set),
      ...Object.keys(setIfAbsent),
      ...remove,
    ]),
    ExpressionAttributeValues: valuesOf({ ...set, ...setIfAbsent }),
  }
}

/** Maps the placeholder `#name` to each name. */
export function namesOf(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [`#${name}`, name]))
}

/** Maps the placeholder `:name` to the value of each attribute. */
export function valuesOf(attributes: Row): Row {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`:${name}`, value]))
}
