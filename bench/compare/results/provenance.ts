// Owns the provenance of a section (commit, machine, versions, load), read when the section begins.

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Provenance } from './results.ts'

const root = join(import.meta.dirname, '../../..')

/** Written by the measurements themselves, so changes of these files do not make a tree dirty. */
const written = ['bench/results.json', 'bench/RESULTS.md', 'bench/charts', 'README.md']

/** Throws outside of a git checkout and without Java. `command`: as typed in a shell. */
export function provenanceNow({ command }: { readonly command: string }): Provenance {
  const processors = cpus()
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return {
    measuredAt: `${new Date().toISOString().slice(0, 'YYYY-MM-DDTHH:MM'.length)}Z`,
    command,
    commit: commitNow(),
    machine: `${processors.length} processors (${processors[0]?.model.trim() ?? 'unknown'}), ${gigabytes} GB`,
    versions: { node: process.version, kafka: kafkaVersion(), java: javaVersion() },
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  }
}

function commitNow(): string {
  const git = (...rest: string[]) =>
    execFileSync('git', rest, { cwd: root, encoding: 'utf8' }).trim()
  const others = written.map(path => `:(exclude)${path}`)
  const isDirty = git('status', '--porcelain', '--', '.', ...others) !== ''
  return `${git('rev-parse', '--short', 'HEAD')}${isDirty ? '-dirty' : ''}`
}

/** The version of the brokers and of MirrorMaker 2, pinned by the local stack. */
function kafkaVersion(): string {
  const pom = readFileSync(join(root, 'localstack/maven/kafka/pom.xml'), 'utf8')
  const version = /org\.apache\.kafka<\/groupId>[\s\S]*?<version>([^<]+)</.exec(pom)?.[1]
  if (version === undefined) throw new Error('localstack/maven/kafka/pom.xml names no Kafka')
  return version
}

/** `java -version` prints to standard error. */
function javaVersion(): string {
  const { stderr, error } = spawnSync('java', ['-version'], { encoding: 'utf8' })
  if (error !== undefined) throw error
  return /version "([^"]+)"/.exec(stderr)?.[1] ?? 'unknown'
}
