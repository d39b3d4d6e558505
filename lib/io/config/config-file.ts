// Loads gapless.yml into a Config: owns parsing its YAML, and the errors about the whole file. Does
// not own where the text comes from (config-text.ts), the keys (core/config/config.ts), `${NAME}`
// (config-environment.ts), or line numbers (config-origin.ts).

import { dirname, resolve } from 'node:path'
import { type Document, LineCounter, parseDocument } from 'yaml'
import { isPemText } from '../../core/config/cluster-config.ts'
import { type Config, parseConfig } from '../../core/config/config.ts'
import type { ConfigPath } from '../../core/config/config-problem.ts'
import { localStage } from '../../core/config/cross-checks.ts'
import { type Environment, substituteEnvironment } from './config-environment.ts'
import { createOrigins, describeProblem } from './config-origin.ts'
import { type ConfigRequests, isReference, readConfigText } from './config-text.ts'

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

/**
 * Where the configuration is: `GAPLESS_CONFIG`, a path or a reference to AWS (`ssm:/name`,
 * `s3://bucket/key`), else gapless.yml in the working directory.
 */
export function configPath(env: Environment): string {
  return env.GAPLESS_CONFIG || 'gapless.yml'
}

/**
 * Reads a configuration, replaces its variables and checks it. TLS files are named relative to the
 * folder of the configuration; where it comes from AWS, to the working directory. `GAPLESS_STAGE`
 * is the stage whose checks apply.
 * @throws ConfigError naming file, line, key, value and what is accepted.
 */
export async function loadConfig(
  path: string,
  env: Environment,
  requests?: ConfigRequests,
): Promise<Config> {
  const read = await readConfigText(path, requests)
  if (read.kind === 'refused') throw new ConfigError([read.reason], { cause: read.cause })
  const { text } = read
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
  const value = toValue(path, document)
  const folder = isReference(path) ? '.' : dirname(path)
  const parsed = parseConfig(withTlsFilesIn(folder, value), env.GAPLESS_STAGE || localStage)
  const unset = substituted.problems.map(({ path: key, reason }) => origins.explain(key, reason))
  if (parsed.kind === 'valid' && unset.length === 0) return parsed.config
  const wrong = (parsed.kind === 'valid' ? [] : parsed.problems)
    // A value that a variable is missing in is wrong only for that.
    .filter(problem => !substituted.problems.some(each => isWithin(each.path, problem.path)))
    .map(problem =>
      describeProblem({ problem, document: value, origins, variables: substituted.variables }),
    )
  throw new ConfigError([...unset, ...wrong])
}

/** True when one of the paths is a part of the other one. */
function isWithin(one: ConfigPath, other: ConfigPath): boolean {
  const length = Math.min(one.length, other.length)
  return one.slice(0, length).every((part, index) => String(part) === String(other[index]))
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
