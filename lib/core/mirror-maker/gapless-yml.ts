// Owns the text of a configuration that people are to read: short lists and objects on one line,
// comments above the keys that they are about. Does not own what is in it.

import type { Ledger } from './ledger.ts'

const COLUMNS_MAX = 100

type PlainObject = Readonly<Record<string, unknown>>

/** @param head lines of the comment at the top */
export function renderYml(
  document: PlainObject,
  { head, comments }: { readonly head: readonly string[]; readonly comments: Ledger['comments'] },
): string {
  const top = head.map(line => (line === '' ? '#' : `# ${line}`))
  return `${[...top, ...entries(document, '', 0, comments)].join('\n')}\n`
}

function entries(
  value: PlainObject,
  path: string,
  depth: number,
  comments: Ledger['comments'],
): string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = path === '' ? key : `${path}.${key}`
    const indent = '  '.repeat(depth)
    const above = commentLines(comments.get(at) ?? [], indent)
    const line = `${indent}${scalar(key)}: ${inline(inner)}`
    if (isInline(inner, at, line, comments)) return [...above, line]
    const body = Array.isArray(inner)
      ? inner.flatMap((each, index) => item(each, `${at}.${index}`, depth + 1, comments))
      : entries(inner as PlainObject, at, depth + 1, comments)
    return [...above, `${indent}${scalar(key)}:`, ...body]
  })
}

/** An item of a list, behind its dash. Comments of its first key stand above the dash. */
function item(value: unknown, path: string, depth: number, comments: Ledger['comments']): string[] {
  const indent = '  '.repeat(depth)
  if (typeof value !== 'object' || value === null) return [`${indent}- ${inline(value)}`]
  const lines = entries(value as PlainObject, path, depth + 1, comments)
  const [first = '', ...rest] = lines
  return [
    ...commentLines(comments.get(path) ?? [], indent),
    `${indent}- ${first.trimStart()}`,
    ...rest,
  ]
}

function isInline(
  value: unknown,
  path: string,
  line: string,
  comments: Ledger['comments'],
): boolean {
  if (typeof value !== 'object' || value === null) return true
  const isCommented = [...comments.keys()].some(each => each.startsWith(`${path}.`))
  if (path === 'clusters' || path === 'flows' || isCommented) return false
  // A cluster with security is easier to read key by key.
  const parts = Object.values(value)
  const isFlat = parts.every(each => typeof each !== 'object' || each === null)
  return line.length <= COLUMNS_MAX && (isFlat || !/^clusters\.[^.]+$/.test(path))
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`
  if (typeof value !== 'object' || value === null) return scalar(value)
  const parts = Object.entries(value).map(([key, each]) => `${scalar(key)}: ${inline(each)}`)
  return `{ ${parts.join(', ')} }`
}

/** Plain where YAML reads it as the same text, also between brackets. */
function scalar(value: unknown): string {
  if (typeof value !== 'string') return String(value)
  const isPlain = /^[a-zA-Z_][\w.-]*(?:\/[\w.-]+)*$/.test(value)
  if (isPlain && !/^(?:true|false|null)$/i.test(value)) return value
  const isSingle = /["\\]/.test(value) && /^[\x20-\x7e]*$/.test(value)
  return isSingle ? `'${value.replaceAll("'", "''")}'` : JSON.stringify(value)
}

function commentLines(texts: readonly string[], indent: string): string[] {
  return texts.flatMap(text =>
    wrapped(text, COLUMNS_MAX - indent.length - 2).map(line => `${indent}# ${line}`),
  )
}

/** Lines of at most so many characters, where words allow it. */
export function wrapped(text: string, columns: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
