// Owns the error about one wrong value of the configuration: file and line, key, the value found,
// the accepted form, and the variable that the value came from. Never prints a secret, nor the
// value of an unknown key.

import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
} from 'yaml'
import { isPemText } from '../../core/config/cluster-config.ts'
import type { ConfigPath, ConfigProblem } from '../../core/config/config-problem.ts'
import { redactUrls } from '../../core/redact-url.ts'

export type Origins = {
  /** `file:line: key reason` */
  explain(path: ConfigPath, reason: string): string
  /** The deepest value of the document on the way to `path`. */
  nodeAt(path: ConfigPath): Node | null
}

const VALUE_CHARACTERS_MAX = 80
const MASK = '***'
const SECRET_KEY = /pass|token|secret|credential|private|^key$/i

/** Finds line numbers of keys. Takes the document before aliases and variables are replaced. */
export function createOrigins(input: {
  readonly path: string
  readonly document: Document
  readonly lines: LineCounter
}): Origins {
  const { path: file, document, lines } = input
  const lineOf = (node: Node | null): string => {
    const start = node?.range?.[0]
    return start === undefined ? '' : `:${lines.linePos(start).line}`
  }
  return {
    explain(path, reason) {
      const { key, value } = walk(document, path)
      return `${file}${lineOf(key ?? value)}: ${keyName(path)} ${reason}`
    },
    nodeAt: path => walk(document, path).value,
  }
}

/** One line about one problem. `document` is the plain value that the schema checked. */
export function describeProblem(input: {
  readonly problem: ConfigProblem
  readonly document: unknown
  readonly origins: Origins
  readonly variables: ReadonlyMap<Node, readonly string[]>
}): string {
  const { problem, document, origins, variables } = input
  const { path, accepted } = problem
  // An unknown key may be a misspelt "password", so its value is never printed.
  if (accepted.startsWith('no such key'))
    return origins.explain(path, `is not accepted: ${accepted}`)
  const found = valueAt(document, path)
  const node = origins.nodeAt(path)
  const names = node === null ? [] : (variables.get(node) ?? [])
  const source =
    names.length === 0
      ? ''
      : ` (from ${names.map(name => `\${${name}}`).join(', ')} of the environment)`
  return origins.explain(path, `${foundText(path, found)}${source}; accepted: ${accepted}`)
}

function foundText(path: ConfigPath, found: Found): string {
  if (found.kind === 'missing') return 'is missing'
  if (found.value === null || found.value === undefined) return 'is empty'
  if (path.some(isSecretKey) || isSecret(String(path.at(-1) ?? ''), found.value)) {
    return typeof found.value === 'number' || typeof found.value === 'boolean'
      ? `is ${MASK} without quotes around it`
      : `is ${MASK}`
  }
  const text = JSON.stringify(found.value, (key, value) => {
    if (isSecret(key, value)) return MASK
    return typeof value === 'string' ? redactUrls(value) : value
  })
  const short =
    text.length > VALUE_CHARACTERS_MAX ? `${text.slice(0, VALUE_CHARACTERS_MAX)}…` : text
  return `is ${short}`
}

function isSecretKey(key: string | number): boolean {
  return typeof key === 'string' && SECRET_KEY.test(key)
}

/** A secret: by its key, as the text of a PEM, or because it replaces the object of credentials. */
function isSecret(key: string, value: unknown): boolean {
  if (isSecretKey(key)) return true
  if (key === 'sasl') return typeof value !== 'object' || Array.isArray(value)
  return typeof value === 'string' && isPemText(value)
}

type Found = { kind: 'missing' } | { kind: 'value'; value: unknown }

function valueAt(document: unknown, path: ConfigPath): Found {
  let at = document
  for (const part of path) {
    // One text may hold a whole list ("b1:9092,b2:9092"); the error then shows the text.
    if (typeof at !== 'object' || at === null) return { kind: 'value', value: at }
    if (Array.isArray(at)) {
      if (!(Number(part) in at)) return { kind: 'value', value: at }
      at = at[Number(part)]
    } else {
      if (!Object.hasOwn(at, part)) return { kind: 'missing' }
      at = (at as Record<string | number, unknown>)[part]
    }
  }
  return { kind: 'value', value: at }
}

/** The deepest value on `path` that the document has, and the key of that value. */
function walk(document: Document, path: ConfigPath): { key: Node | null; value: Node | null } {
  let key: Node | null = null
  let value: Node | null = isNode(document.contents) ? document.contents : null
  for (const part of path) {
    const inside: Node | null | undefined = isAlias(value) ? value.resolve(document) : value
    if (isMap(inside)) {
      const pair = inside.items.find(
        item => isScalar(item.key) && String(item.key.value) === String(part),
      )
      if (pair === undefined) break
      key = isNode(pair.key) ? pair.key : null
      value = isNode(pair.value) ? pair.value : null
    } else if (isSeq(inside)) {
      const item = inside.items[Number(part)]
      if (!isNode(item)) break
      key = null
      value = item
    } else break
  }
  return { key, value: isAlias(value) ? (value.resolve(document) ?? null) : value }
}

/** `flows[0].naming` */
function keyName(path: ConfigPath): string {
  const name = path
    .map(part => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '')
  return name === '' ? 'the configuration' : name
}
