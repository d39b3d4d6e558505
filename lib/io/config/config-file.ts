// Loads gapless.yml into a Config: owns reading the file, parsing its YAML, and the errors about
// both. Does not own the keys (core/config/config.ts), `${NAME}` (config-environment.ts), or line
// numbers (config-origin.ts).

import { createReadStream } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Document, LineCounter, parseDocument } from 'yaml'
import { isPemText } from '../../core/config/cluster-config.ts'
import { type Config, parseConfig } from '../../core/config/config.ts'
import { type Environment, substituteEnvironment } from './config-environment.ts'
import { createOrigins, describeProblem } from './config-origin.ts'

/** A configuration has kilobytes; a larger file was named by mistake. */
const CONFIG_BYTES_MAX = 1024 * 1024

/** More lines would push the first one off the screen, which is often the cause of the others. */
const PROBLEM_LINES_MAX = 20

/** The keys of `tls` whose values may name a file. */
const PEM_KEYS = ['ca', 'cert', 'key']

/**
 * The configuration cannot be used. Each line describes one problem; `message` has all lines.
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

/** The path of the configuration: `GAPLESS_CONFIG`, else gapless.yml in the working directory. */
export function configPath(env: Environment): string {
  return env.GAPLESS_CONFIG || 'gapless.yml'
}

/**
 * Reads a configuration, replaces its variables and checks it. TLS files are named relative to the
 * folder of the configuration.
 * @throws ConfigError naming file, line, key, value and what is accepted.
 */
export async function loadConfig(path: string, env: Environment): Promise<Config> {
  const text = await readBounded(path)
  const lines = new LineCounter()
  // The pretty errors of the library span several lines.
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
    // `end` is inclusive: one byte more than accepted shows that a file is too large.
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
 * The error text of the library without its advice to programmers, and with a hint where `${` is
 * the usual cause.
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
    // An alias without an anchor, or so many aliases that the document would be huge.
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ConfigError([`${path}: not valid YAML: ${reason}`], { cause })
  }
}

/**
 * Makes the paths of TLS files absolute, so that the command line, a function and a test find the
 * same file from any working directory.
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
