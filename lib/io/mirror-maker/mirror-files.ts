// Owns reading files of MirrorMaker 2 in the forms that people have: .properties, JSON of Kafka
// Connect, YAML of Strimzi. Does not own what their properties mean (core/mirror-maker).

import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Pair, parseLines } from 'dot-properties'
import { parseAllDocuments } from 'yaml'
import { type Connector, readConnectors } from '../../core/mirror-maker/forms/connectors.ts'
import { readDedicated } from '../../core/mirror-maker/forms/dedicated.ts'
import { isRecord } from '../../core/mirror-maker/forms/plain-value.ts'
import { readStrimzi } from '../../core/mirror-maker/forms/strimzi.ts'
import { type Mirror, MirrorError, type Property } from '../../core/mirror-maker/mirror.ts'

/** A configuration has kilobytes; a larger file was named by mistake. */
const FILE_BYTES_MAX = 1024 * 1024
/** Files of a folder: three connectors for each of many flows. */
const FOLDER_FILES_MAX = 300
const EXTENSIONS = /\.(?:json|properties|ya?ml)$/i

type Content =
  | { readonly kind: 'properties'; readonly file: string; readonly properties: readonly Property[] }
  | { readonly kind: 'connectors'; readonly connectors: readonly Connector[] }
  | {
      readonly kind: 'resources'
      readonly resources: readonly { origin: string; value: Readonly<Record<string, unknown>> }[]
    }

/**
 * Reads one configuration: a file, or several files or a folder with the connectors of it.
 * @throws MirrorError naming the file and what was expected
 */
export async function readMirror(paths: readonly string[]): Promise<Mirror> {
  const files = (await Promise.all(paths.map(filesOf))).flat()
  const contents = await Promise.all(files.map(readContent))
  const resources = contents.flatMap(each => (each.kind === 'resources' ? each.resources : []))
  const connectors = contents.flatMap(each => (each.kind === 'connectors' ? each.connectors : []))
  const properties = contents.flatMap(each => (each.kind === 'properties' ? [each] : []))
  const kinds = [resources, connectors, properties].filter(each => each.length > 0).length
  const [first, second] = properties
  if (kinds !== 1 || second !== undefined) {
    const found = kinds === 0 ? 'nothing of MirrorMaker 2' : 'more than one configuration'
    throw new MirrorError(
      `${paths.join(', ')}: ${found}; expected one file of dedicated mode, or connectors alone, or resources of Strimzi alone`,
    )
  }
  if (first !== undefined) return readDedicated(first.file, first.properties)
  return resources.length > 0 ? readStrimzi(resources) : readConnectors(connectors)
}

async function filesOf(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = (await readdir(path)).filter(each => EXTENSIONS.test(each)).sort()
    if (names.length > 0 && names.length <= FOLDER_FILES_MAX)
      return names.map(each => join(path, each))
    throw new MirrorError(
      `${path}: ${names.length} files with .json, .properties or .yaml; expected 1 to ${FOLDER_FILES_MAX}`,
    )
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

async function readContent(path: string): Promise<Content> {
  let text: string
  try {
    const { size } = await stat(path)
    if (size > FILE_BYTES_MAX) {
      throw new MirrorError(
        `${path}: larger than ${FILE_BYTES_MAX} bytes, so it is no configuration`,
      )
    }
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw unreadable(path, cause)
  }
  const name = basename(path)
  if (/^\s*[[{]/.test(text)) return { kind: 'connectors', connectors: connectorsIn(name, text) }
  if (/^apiVersion\s*:/m.test(text) || /\.ya?ml$/i.test(path)) {
    return { kind: 'resources', resources: resourcesIn(name, text) }
  }
  const properties = propertiesIn(name, text)
  // The same properties are given to Connect's standalone mode and to MSK Connect.
  return properties.some(each => each.name === 'connector.class')
    ? { kind: 'connectors', connectors: [{ origin: name, properties }] }
    : { kind: 'properties', file: name, properties }
}

/** As Java reads them: lines that go on, escapes, and the last one of two with one name. */
function propertiesIn(name: string, raw: string): Property[] {
  // The library knows a backslash before LF at any place, and before CRLF only within a value.
  const text = raw.replace(/\r\n?/g, '\n')
  return parseLines(text, true).flatMap(node => {
    // A backslash alone at the beginning of a line is no property.
    if (!(node instanceof Pair) || node.key === '') return []
    const [start] = node.range ?? [0]
    const line = text.slice(0, start).split('\n').length
    return [{ name: node.key, value: node.value, origin: `${name}:${line}` }]
  })
}

function connectorsIn(name: string, text: string): Connector[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The error of the parser quotes the text, which may hold a password.
    throw new MirrorError(`${name}: not valid JSON; expected a connector, or a list of connectors`)
  }
  const all = Array.isArray(value) ? value : [value]
  return all.map((each, index) => {
    const origin = all.length === 1 ? name : `${name}[${index}]`
    const config = isRecord(each) ? (each.config ?? each.connectorConfiguration ?? each) : null
    if (!isRecord(config)) {
      throw new MirrorError(`${origin}: no connector; expected {"name","config"} or its properties`)
    }
    return {
      origin,
      properties: Object.entries(config).flatMap(([key, inner]) =>
        typeof inner === 'object' ? [] : [{ name: key, value: String(inner), origin }],
      ),
    }
  })
}

function resourcesIn(name: string, text: string) {
  const documents = parseAllDocuments(text, { prettyErrors: false, logLevel: 'error' })
  const all = Array.isArray(documents) ? documents : []
  const broken = all.find(each => each.errors.length > 0)
  if (broken !== undefined) {
    const [error] = broken.errors
    const line = text.slice(0, error?.pos[0]).split('\n').length
    throw new MirrorError(
      `${name}:${line}: not valid YAML (${error?.code}); expected a KafkaMirrorMaker2`,
    )
  }
  const values = all.map(each => each.toJS() as unknown)
  const found = values.filter(isRecord).filter(each => each.kind === 'KafkaMirrorMaker2')
  if (found.length > 0) return found.map(value => ({ origin: name, value }))
  const kinds = values.filter(isRecord).map(each => String(each.kind))
  throw new MirrorError(
    `${name}: kind is ${kinds.join(', ') || 'missing'}; expected KafkaMirrorMaker2 (kubectl get kafkamirrormaker2 NAME -o yaml)`,
  )
}

/** Errors of the file system as one line; errors of ours as they are. */
function unreadable(path: string, cause: unknown): MirrorError {
  if (cause instanceof MirrorError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  const reason = code === 'ENOENT' ? 'no such file' : `cannot be read (${code})`
  return new MirrorError(`${path}: ${reason}; expected a configuration of MirrorMaker 2`, { cause })
}
