// Owns the way from gapless.yml to a Config: the file, its YAML, and what is said when either is
// wrong. Does not own what the keys mean (core/config/config.ts), `${NAME}`
// (config-environment.ts), or line numbers (config-origin.ts).

import { createReadStream } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Document, LineCounter, parseDocument } from 'yaml'
import { isPemText } from '../../core/config/cluster-config.ts'
import { type Config, parseConfig } from '../../core/config/config.ts'
import { type Environment, substituteEnvironment } from './config-environment.ts'
import { createOrigins, describeProblem } from './config-origin.ts'

/** A configuration is kilobytes; a larger file is another file, named by mistake. */
const CONFIG_BYTES_MAX = 1024 * 1024

/** More lines than this hide the first one, which is often the cause of the others. */
const PROBLEM_LINES_MAX = 20

/** Of `tls`: the values that may name a file. */
const PEM_KEYS = ['ca', 'cert', 'key']

/**
 * The configuration cannot be used. Each line is one problem, complete in
 * itself; `message` joins them.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly lines: readonly string[]

  constructor(problems: readonly string[], options?: { cause: unknown }) {
    const more = problems.length - PROBLEM_LINES_MAX
    const lines = problems.slice(0, PROBLEM_LINES_MAX)
    if (more > 0) lines.push(`… and ${more} more problems`)
    super(lines.join('\n'), options)
    this.lines = lines
  }
}

/** Where the configuration is: `GAPLESS_CONFIG`, else gapless.yml of the working directory. */
export function configPath(env: Environment): string {
  return env.GAPLESS_CONFIG || 'gapless.yml'
}

/**
 * Reads, substitutes and checks a configuration. TLS files are named relative
 * to the configuration's folder.
 * @throws ConfigError naming file, line, key, value and what is accepted.
 */
export async function loadConfig(path: string, env: Environment): Promise<Config> {
  const text = await readBounded(path)
  const lines = new LineCounter()
  // Without pretty errors: they are drawings over several lines.
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
  })
  const [first] = [...document.errors, ...document.warnings]
  if (first !== undefined) {
    const { line, col } = lines.linePos(first.pos[0])
    throw new ConfigError([`${path}:${line}:${col}: not valid YAML: ${yamlReason(first, text)}`])
  }
  const origins = createOrigins({ path, document, lines })
  const substituted = substituteEnvironment(document, env)
  if (substituted.problems.length > 0) {
    throw new ConfigError(
      substituted.problems.map(({ path: key, reason }) => origins.explain(key, reason)),
    )
  }
  const value = toValue(path, document)
  const parsed = parseConfig(withTlsFilesIn(dirname(path), value))
  if (parsed.kind === 'valid') return parsed.config
  throw new ConfigError(
    parsed.problems.map(problem =>
      describeProblem({ problem, document: value, origins, variables: substituted.variables }),
    ),
  )
}

async function readBounded(path: string): Promise<string> {
  try {
    const chunks: Buffer[] = []
    // `end` is inclusive: one byte more than accepted tells "exactly as large" from "larger".
    for await (const chunk of createReadStream(path, { end: CONFIG_BYTES_MAX })) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    if (bytes.length <= CONFIG_BYTES_MAX) return bytes.toString('utf8')
  } catch (cause) {
    throw new ConfigError([unreadable(path, cause)], { cause })
  }
  throw new ConfigError([
    `${path}: larger than ${CONFIG_BYTES_MAX} bytes, so it is no configuration of gapless; ` +
      `set GAPLESS_CONFIG to the path of one`,
  ])
}

function unreadable(path: string, cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const remedy = 'set GAPLESS_CONFIG to the path of one (docs/CONFIG.md shows the smallest)'
  if (code === 'ENOENT') return `${path}: no such file; write a configuration there, or ${remedy}`
  if (code === 'EISDIR') return `${path}: a directory, not a configuration; ${remedy}`
  if (code === 'EACCES') return `${path}: permission denied; make it readable, or ${remedy}`
  return `${path}: cannot be read (${String(code ?? cause)}); ${remedy}`
}

/**
 * The library's sentence, without its advice to programmers, and with ours
 * where `${` is the usual cause.
 */
function yamlReason(error: { code: string; message: string; pos: [number, number] }, text: string) {
  if (error.code === 'MULTIPLE_DOCS') return 'more than one document (a second "---")'
  // In `{ password: ${PW} }` and `[${A}]` the braces end the plain text: YAML wants quotes there.
  const around = text.slice(Math.max(0, error.pos[0] - 2), error.pos[0] + 2)
  const hint = around.includes('${') ? `; put values with \${NAME} in double quotes` : ''
  return `${error.message}${hint}`
}

function toValue(path: string, document: Document): unknown {
  try {
    return document.toJS()
  } catch (cause) {
    // Aliases without an anchor, or so many of them that the document explodes.
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ConfigError([`${path}: not valid YAML: ${reason}`], { cause })
  }
}

/**
 * The same file must be found by the command line, by a scheduled function and by
 * a test, wherever they start.
 */
function withTlsFilesIn(folder: string, document: unknown): unknown {
  if (!isRecord(document) || !isRecord(document.clusters)) return document
  const clusters = Object.entries(document.clusters).map(([name, cluster]) => {
    if (!isRecord(cluster) || !isRecord(cluster.tls)) return [name, cluster]
    const tls = Object.entries(cluster.tls).map(([key, file]) =>
      PEM_KEYS.includes(key) && typeof file === 'string' && file !== '' && !isPemText(file)
        ? [key, resolve(folder, file)]
        : [key, file],
    )
    return [name, { ...cluster, tls: Object.fromEntries(tls) }]
  })
  return { ...document, clusters: Object.fromEntries(clusters) }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
