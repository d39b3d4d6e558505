// Replaces `${NAME}` in the configuration by values of the environment. Works on the parsed YAML,
// so that the value of a variable can neither add keys nor break the syntax.
//
//   ${NAME}            the variable; an error when it is not set
//   ${NAME:-default}   the default when the variable is not set, or empty
//   $${                the two characters "${"

import { type Document, isPair, isScalar, isSeq, type Node, Scalar, visit } from 'yaml'
import type { ConfigPath } from '../../core/config/config-problem.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export type Substitution = {
  /** The variables that each text was made from, which an error about the text names. */
  readonly variables: ReadonlyMap<Node, readonly string[]>
  readonly problems: readonly { readonly path: ConfigPath; readonly reason: string }[]
}

/** Replaces every `${NAME}` in the string values of the document, in place. */
export function substituteEnvironment(document: Document, env: Environment): Substitution {
  const variables = new Map<Node, string[]>()
  const problems: { path: ConfigPath; reason: string }[] = []
  visit(document, {
    Scalar(key, scalar, ancestors) {
      // Variables are replaced in values only, never in keys.
      if (key === 'key' || typeof scalar.value !== 'string') return
      const found = expand(scalar.value, env)
      if (found.variables.length > 0) variables.set(scalar, found.variables)
      for (const reason of found.reasons) {
        problems.push({ path: pathOf([...ancestors, scalar]), reason })
      }
      scalar.value = isWholeVariable(scalar) ? readBoolean(found.text) : found.text
    },
  })
  return { variables, problems }
}

type Expansion = { text: string; variables: string[]; reasons: string[] }

function expand(text: string, env: Environment): Expansion {
  const variables: string[] = []
  const reasons: string[] = []
  const expanded = text.replace(
    /\$\$\{|\$\{([^}]*)(\}?)/g,
    (whole, inner?: string, end?: string) => {
      if (inner === undefined) return '${'
      const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inner) ?? []
      if (end === '' || name === undefined) {
        reasons.push(
          `has ${whole}, which is neither \${NAME} nor \${NAME:-default}; $\${ means the text \${`,
        )
        return whole
      }
      variables.push(name)
      const value = env[name]
      if (value === undefined && fallback === undefined) {
        reasons.push(`uses \${${name}}, which is not set in the environment`)
      }
      return fallback !== undefined && (value ?? '') === '' ? fallback : (value ?? '')
    },
  )
  return { text: expanded, variables, reasons }
}

/**
 * A variable that stands alone and without quotes is a YAML value; in quotes it is a text, as
 * everywhere in YAML.
 */
function isWholeVariable(scalar: Scalar): boolean {
  return scalar.type === Scalar.PLAIN && /^\$\{[^}]*\}$/.test(String(scalar.source))
}

/**
 * Reads true and false. A number stays a text, which the schema converts where it wants a number: a
 * password may be all digits.
 */
function readBoolean(text: string): string | boolean {
  return text === 'true' ? true : text === 'false' ? false : text
}

/** The keys that lead to the last of `nodes`. */
function pathOf(nodes: readonly unknown[]): ConfigPath {
  return nodes.flatMap((node, index): (string | number)[] => {
    if (isPair(node)) return isScalar(node.key) ? [String(node.key.value)] : []
    const parent = nodes[index - 1]
    return isSeq(parent) ? [parent.items.indexOf(node)] : []
  })
}
