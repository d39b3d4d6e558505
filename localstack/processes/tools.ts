// Finds the programs that the local stack needs on this machine; names the remedy where one is
// missing or too old.

import { join } from 'node:path'
import { runCommand } from './os-process.ts'
import { StackError } from './stack-error.ts'

/** A Docker daemon that hangs answers never. */
const answerDeadlineMs = 20_000

/** Kafka 4 and DynamoDB Local 3 are compiled for Java 17. */
const javaMajorMin = 17

/**
 * @returns the `java` command, from `JAVA_HOME` or from the path.
 * @throws StackError when Java is missing or older than 17.
 */
export async function findJava(): Promise<string> {
  const home = process.env.JAVA_HOME
  const java = home ? join(home, 'bin', 'java') : 'java'
  const remedy =
    `Install a JRE of ${javaMajorMin} or newer (Debian: apt-get install openjdk-17-jre-headless; ` +
    'macOS: brew install openjdk@17), or point JAVA_HOME to one.'
  const version = await readVersion(java, ['-version'])
  if (version === undefined)
    throw new StackError(`Java was not found (looked for ${java}).`, remedy)
  // openjdk version "17.0.15" 2025-04-15, and before Java 9: java version "1.8.0_401"
  const major = Number(/version "(?:1\.)?(\d+)/.exec(version)?.[1] ?? 0)
  if (major >= javaMajorMin) return java
  throw new StackError(`Java ${major} is too old for Kafka 4 (${java}).`, remedy)
}

/**
 * @returns the installation's folder. `java` on the path may be a launcher outside of it (macOS,
 * jenv), so Java itself is asked.
 */
export async function findJavaHome(java: string): Promise<string> {
  const properties = await readVersion(java, ['-XshowSettings:properties', '-version'])
  const home = /java\.home = (.+)/.exec(properties ?? '')?.[1]?.trim()
  if (home !== undefined) return home
  throw new StackError(
    `${java} does not say where it is installed (java.home).`,
    'Set JAVA_HOME and try again.',
  )
}

/** @returns the `mvn` command. @throws StackError when it is missing. */
export async function findMaven(): Promise<string> {
  if ((await readVersion('mvn', ['--version'])) !== undefined) return 'mvn'
  throw new StackError(
    'Maven (mvn) was not found; the jars of Kafka and DynamoDB Local come through it.',
    'Install it (Debian: apt-get install maven; macOS: brew install maven) and try again.',
  )
}

/**
 * @returns a command that runs Python 3.11, or undefined. A pyenv shim may exist and refuse to run,
 * so each candidate is asked for its version.
 */
export async function findPython(): Promise<string | undefined> {
  for (const command of ['python3.11', 'python3', 'python']) {
    const version = await readVersion(command, ['--version'])
    if (version?.startsWith('Python 3.11.')) return command
  }
  return undefined
}

/** @returns the names of the missing programs among those that compile C and C++. */
export async function findMissingBuildTools(): Promise<string[]> {
  const wanted = ['cmake', 'make', 'g++', 'xz']
  const found = await Promise.all(wanted.map(command => readVersion(command, ['--version'])))
  return wanted.filter((_, index) => found[index] === undefined)
}

/** @returns whether a Docker engine answers; an installed client alone is not enough. */
export async function isDockerAnswering(): Promise<boolean> {
  return (await readVersion('docker', ['info'])) !== undefined
}

async function readVersion(command: string, args: string[]): Promise<string | undefined> {
  try {
    const { code, output } = await runCommand({ command, args, timeoutMs: answerDeadlineMs })
    return code === 0 ? output : undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'EACCES') return undefined
    throw error
  }
}
