// Which version of Kafka a broker has, and the jars of that version. Owns KAFKA_VERSION, which
// clusters of the tests obey. Does not own the cache of downloads (artifacts.ts), nor the jars of
// Java's clients and of the local stack, which stay those of the pinned version.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { copyMavenJars, fetchArtifact, fetchKafka, pinnedKafka } from '../artifacts.ts'
import { type Report, StackError } from '../processes/stack-error.ts'

/** Before, the storage tool wrote no bootstrap.checkpoint (KIP-778) for warm-start.ts to copy. */
const oldest = [3, 3] as const

const lockFile = join(import.meta.dirname, '..', 'maven', 'kafka-broker', 'pom.xml')

/**
 * The version that KAFKA_VERSION names; the pinned one when it is not set.
 * @throws StackError when it is no version, or one whose brokers cannot be started here.
 */
export function readBrokerVersion(): string {
  const version = process.env.KAFKA_VERSION || pinnedKafka
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new StackError(
      `KAFKA_VERSION=${version} is no version of Kafka.`,
      'It takes three numbers, as in KAFKA_VERSION=3.9.1.',
    )
  }
  if (!isAtLeast(version, oldest)) {
    throw new StackError(
      `KAFKA_VERSION=${version} is too old: only brokers of Kafka ${oldest.join('.')} and newer can be started here.`,
      'Choose a newer one, as in KAFKA_VERSION=3.9.1.',
    )
  }
  return version
}

export function isAtLeast(version: string, least: readonly [major: number, minor: number]) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > least[0] || (major === least[0] && minor >= least[1])
}

/** @returns the folder of the jars, fetched where this machine has none. @throws StackError */
export function fetchBrokerJars(version: string = pinnedKafka, report: Report): Promise<string> {
  if (version === pinnedKafka) return fetchKafka(report)
  return fetchArtifact(
    {
      name: `kafka-broker-${version}`,
      announcement: `Fetching brokers of Kafka ${version} from Maven Central (about 50 MB, once)...`,
      identity: () => readFile(lockFile),
      build: ({ directory }) => copyBrokerJars({ directory, version }),
    },
    report,
  )
}

async function copyBrokerJars(options: { directory: string; version: string }): Promise<void> {
  const { directory, version } = options
  try {
    await copyMavenJars({ directory, lockFile, defines: [`kafka.version=${version}`] })
  } catch (error) {
    // Maven says the second for a day after it has said the first.
    const isAbsent = /Could not find artifact|was not found in/.test(String(error))
    if (!isAbsent) throw error
    throw new StackError(
      `Maven finds no broker of Kafka ${version}, which KAFKA_VERSION asks for.`,
      'Choose a released version, as in KAFKA_VERSION=3.9.1.',
      { cause: error },
    )
  }
}
