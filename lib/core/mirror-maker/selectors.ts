// Owns the translation of lists of names and regular expressions (DefaultTopicFilter and
// DefaultGroupFilter of MirrorMaker 2) into selectors of gapless: names, or patterns of RE2 between
// slashes. The same names are selected, or the import ends.

import { compilePattern, patternProblem } from '../config/topic-pattern.ts'
import { listOf, MirrorError, type Property } from './mirror.ts'

export type Selectors = {
  readonly include: readonly string[]
  /** What a look-ahead at the beginning of a single pattern left out. */
  readonly exclude: readonly string[]
}

/** Such a text matches itself alone. */
const NAME = /^(?:[a-zA-Z0-9_-]|\\[.-])+$/
/** A negative look-ahead, and a rest without an alternative to which it would not apply. */
const AHEAD = /^\^?\(\?!((?:[^()]|\([^()]*\))*)\)([^|]*)$/s

export function selectorsOf(property: Property): Selectors {
  const elements = elementsOf(property)
  const [only] = elements
  const [, ahead, rest] = elements.length === 1 ? (AHEAD.exec(only ?? '') ?? []) : []
  if (ahead !== undefined && rest !== undefined && rest !== '') {
    return {
      include: [selectorOf(rest, property)],
      exclude: [selectorOf(`(?:${ahead}).*`, property)],
    }
  }
  return { include: listed(elements, property), exclude: [] }
}

/** A list of what is left out. There, nothing could leave out less again. */
export function exclusionsOf(property: Property): string[] {
  return listed(elementsOf(property), property)
}

function elementsOf(property: Property): string[] {
  const elements = listOf(property.value)
  if (!elements.some(each => each.includes('${'))) return elements
  throw new MirrorError(
    `${property.origin}: ${property.name} refers to a config provider; write its value instead, and import again`,
  )
}

function listed(elements: readonly string[], property: Property): string[] {
  // Kafka joins the elements with | first, so a comma within a pattern becomes an alternative.
  const isEachWhole = elements.every(each => NAME.test(each) || compilePattern(each) !== null)
  const isJoinedWhole = !isEachWhole && compilePattern(elements.join('|')) !== null
  const parts = isJoinedWhole ? [elements.join('|')] : elements.flatMap(alternatives)
  return [...new Set(parts.map(each => selectorOf(each, property)))]
}

/** `a|b|c` is a list of names. */
function alternatives(element: string): string[] {
  const parts = element.replace(/^\((.*)\)$/, '$1').split('|')
  return parts.length > 1 && parts.every(each => NAME.test(each)) ? parts : [element]
}

function selectorOf(element: string, property: Property): string {
  if (NAME.test(element)) return element.replaceAll('\\', '')
  if (compilePattern(element) !== null) return `/${element}/`
  const problem = patternProblem(element) ?? 'that is a regular expression'
  throw new MirrorError(
    `${property.origin}: ${property.name} has the pattern ${element}; gapless takes a pattern ${problem}`,
  )
}
