// The downloads of the local stack and the tests, each made once: Kafka and DynamoDB Local through
// Maven, LocalStack through pip, Lambda's runtime interface client through npm. Owns the cache
// folder and its rule: a folder with an artifact's name is complete. Starts no process that stays.
// warm-start.ts keeps an artifact of its own there.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { withLock } from './processes/folder-lock.ts'
import { identifyProcess, runCommand } from './processes/os-process.ts'
import { type Report, reportToStandardError, StackError } from './processes/stack-error.ts'
import { findJava, findMaven, findMissingBuildTools, findPython } from './processes/tools.ts'

export type Artifact = {
  /** The start of the folder's name. */
  name: string
  /** Printed before the download. */
  announcement: string
  /** What the artifact is made of. Its hash is in the folder's name. */
  identity: () => Promise<string | Buffer>
  build: (options: { directory: string }) => Promise<void>
}

/** An artifact whose versions are all pinned by one file. */
function pinnedBy(pinned: {
  name: string
  announcement: string
  lockFile: string
  build: (options: { directory: string; lockFile: string }) => Promise<void>
}): Artifact {
  const { name, announcement, lockFile, build } = pinned
  return {
    name,
    announcement,
    identity: () => readFile(lockFile),
    build: ({ directory }) => build({ directory, lockFile }),
  }
}

const recipes = import.meta.dirname

/** The local stack, Java's clients, and the tests unless KAFKA_VERSION says otherwise. */
export const pinnedKafka = '4.3.1'

const kafka = pinnedBy({
  name: `kafka-${pinnedKafka}`,
  announcement: `Fetching Kafka ${pinnedKafka} from Maven Central (55 MB, once)...`,
  lockFile: join(recipes, 'maven', 'kafka', 'pom.xml'),
  build: copyMavenJars,
})

const kafkaStreams = pinnedBy({
  name: 'kafka-streams-4.3.1',
  announcement: 'Fetching Kafka Streams 4.3.1 from Maven Central (80 MB, once)...',
  lockFile: join(recipes, 'maven', 'kafka-streams', 'pom.xml'),
  build: copyMavenJars,
})

const dynamoDbLocal = pinnedBy({
  name: 'dynamodb-local-3.1.0',
  announcement: 'Fetching DynamoDB Local 3.1.0 from Maven Central (48 MB, once)...',
  lockFile: join(recipes, 'maven', 'dynamodb-local', 'pom.xml'),
  build: copyMavenJars,
})

const localStack = pinnedBy({
  name: 'localstack-4.13.1',
  announcement: 'Fetching LocalStack 4.13.1 from PyPI (480 MB unpacked, once; about a minute)...',
  lockFile: join(recipes, 'localstack-requirements.txt'),
  build: createLocalStackEnvironment,
})

const lambdaRuntime = pinnedBy({
  name: 'aws-lambda-ric-4.0.2',
  announcement: 'Fetching and compiling aws-lambda-ric 4.0.2 from npm (once; a minute or two)...',
  lockFile: join(recipes, 'npm', 'aws-lambda-ric', 'package-lock.json'),
  build: compileLambdaRuntime,
})

/** The download cache: `GAPLESS_CACHE`, or `~/.cache/gapless`. */
export function findCacheDirectory(): string {
  return process.env.GAPLESS_CACHE || join(homedir(), '.cache', 'gapless')
}

/**
 * @returns the folder of Kafka's jars.
 * @throws StackError with the remedy when it cannot be fetched.
 */
export function fetchKafka(report: Report = reportToStandardError): Promise<string> {
  return fetchArtifact(kafka, report)
}

/** @returns the folder of Kafka Streams and the clients that it needs. @throws StackError */
export function fetchKafkaStreams(report: Report = reportToStandardError): Promise<string> {
  return fetchArtifact(kafkaStreams, report)
}

/** @returns the folder of DynamoDB Local's jars and native libraries. @throws StackError */
export function fetchDynamoDbLocal(report: Report = reportToStandardError): Promise<string> {
  return fetchArtifact(dynamoDbLocal, report)
}

/** @returns the folder of the Python environment that has LocalStack. @throws StackError */
export function fetchLocalStack(report: Report = reportToStandardError): Promise<string> {
  return fetchArtifact(localStack, report)
}

/**
 * Lambda's runtime interface client with its native part compiled.
 * @returns the module to start Node with. @throws StackError, also where no C++ compiler exists.
 */
export async function fetchLambdaRuntime(report: Report = reportToStandardError): Promise<string> {
  const directory = await fetchArtifact(lambdaRuntime, report)
  return join(directory, 'node_modules', 'aws-lambda-ric', 'index.mjs')
}

/** @returns the artifact's folder, built where this machine has none. @throws StackError */
export async function fetchArtifact(artifact: Artifact, report: Report): Promise<string> {
  const cache = findCacheDirectory()
  const identity = await artifact.identity()
  const version = createHash('sha256').update(identity).digest('hex').slice(0, 8)
  const directory = join(cache, `${artifact.name}-${version}`)
  const known = building.get(directory)
  if (known !== undefined) return known
  if (existsSync(directory)) return directory
  const built = buildArtifact(artifact, directory, report)
  building.set(directory, built)
  return built.finally(() => building.delete(directory))
}

/** What this process builds now: it does not wait for itself as for another process. */
const building = new Map<string, Promise<string>>()

async function buildArtifact(
  artifact: Artifact,
  directory: string,
  report: Report,
): Promise<string> {
  const cache = dirname(directory)
  await mkdir(cache, { recursive: true })
  return withLock({ path: `${directory}.lock`, report }, async () => {
    if (existsSync(directory)) return directory
    report(artifact.announcement)
    await removeLeftovers(cache, artifact.name)
    const unfinished = await mkdtemp(join(cache, `.unfinished-${artifact.name}-${process.pid}-`))
    try {
      await artifact.build({ directory: unfinished })
      // The rename completes an artifact: an interrupted download never has the artifact's name.
      await renameUnlessComplete(unfinished, directory)
    } finally {
      await rm(unfinished, { recursive: true, force: true })
    }
    return directory
  })
}

/** Two processes that removed the same stale lock may both have fetched; the first folder stays. */
async function renameUnlessComplete(unfinished: string, directory: string): Promise<void> {
  try {
    await rename(unfinished, directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  }
}

/** Removes the folders of killed downloads; the pid of the process is in the folder's name. */
async function removeLeftovers(cache: string, name: string): Promise<void> {
  for (const entry of await readdir(cache)) {
    const prefix = `.unfinished-${name}-`
    if (!entry.startsWith(prefix)) continue
    const pid = Number.parseInt(entry.slice(prefix.length), 10)
    if (identifyProcess(pid) !== undefined) continue
    await rm(join(cache, entry), { recursive: true, force: true })
  }
}

/**
 * @param options.defines values for the lock file's properties, as `kafka.version=3.9.1`.
 * @throws StackError
 */
export async function copyMavenJars(options: {
  directory: string
  lockFile: string
  defines?: readonly string[]
}): Promise<void> {
  await findJava()
  const maven = await findMaven()
  const { code, output } = await runCommand({
    command: maven,
    args: [
      '--quiet',
      '--batch-mode',
      '--no-transfer-progress',
      '--file',
      options.lockFile,
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      ...(options.defines ?? []).map(each => `-D${each}`),
      `-DoutputDirectory=${options.directory}`,
    ],
  })
  if (code === 0) return
  throw new StackError(
    `Maven could not fetch what ${options.lockFile} names (exit ${code}): ${findErrorLine(output)}`,
    'Check that Maven Central can be reached (proxy or mirror: ~/.m2/settings.xml) and try again.',
  )
}

async function createLocalStackEnvironment(options: {
  directory: string
  lockFile: string
}): Promise<void> {
  const python = await findPython()
  if (python === undefined) {
    throw new StackError(
      'LocalStack needs Python 3.11, which was not found.',
      'Install python3.11, or do without LocalStack: GAPLESS_AWS=dynamodb-local.',
    )
  }
  // The environment is used only as "bin/python -m ...", which finds its packages relative to
  // itself, so the folder may be renamed. Its scripts (bin/pip, ...) name the old path: never run
  // them.
  await runPython(python, ['-m', 'venv', options.directory])
  const own = join(options.directory, 'bin', 'python')
  // --no-deps: the lock file pins every package, and pip's resolver would choose newer ones.
  await runPython(own, ['-m', 'pip', 'install', '--quiet', '--no-deps', '-r', options.lockFile])
  await repairAnnotation(options.directory)
}

async function compileLambdaRuntime(options: {
  directory: string
  lockFile: string
}): Promise<void> {
  const { directory, lockFile } = options
  const missing = await findMissingBuildTools()
  if (missing.length > 0) {
    throw new StackError(
      `${missing.join(', ')} not found; aws-lambda-ric compiles its native part with them.`,
      'Install them (Debian: apt-get install cmake g++ make; xz comes with most systems).',
    )
  }
  const recipe = dirname(lockFile)
  for (const file of ['package.json', 'package-lock.json']) {
    await cp(join(recipe, file), join(directory, file))
  }
  const packages = join(directory, 'node_modules')
  const home = join(packages, 'aws-lambda-ric')
  const headers = join(packages, `node-linux-${process.arch}`)
  const env = {
    ...process.env,
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
    // Without it node-gyp would download the headers from a server that is no package registry.
    npm_config_nodedir: headers,
  }
  // Only this package's scripts, one by one: older versions of npm run the scripts of every
  // package.
  const steps: readonly [string, readonly string[], string][] = [
    ['npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], directory],
    ['sh', ['scripts/preinstall.sh'], home],
    ['sh', ['scripts/postinstall.sh'], home],
  ]
  for (const [command, args, cwd] of steps) {
    const { code, output } = await runCommand({ command, args: [...args], cwd, env })
    if (code === 0) continue
    throw new StackError(
      `"${command} ${args.join(' ')}" of aws-lambda-ric failed (exit ${code}): ${findErrorLine(output)}`,
      'Check that the npm registry can be reached and that a C++ compiler works, and try again.',
    )
  }
  await rm(headers, { recursive: true, force: true })
}

async function runPython(command: string, args: string[]): Promise<void> {
  const { code, output } = await runCommand({ command, args })
  if (code === 0) return
  throw new StackError(
    `"${command} ${args.join(' ')}" failed (exit ${code}): ${findErrorLine(output)}`,
    'Check that PyPI can be reached, or do without LocalStack: GAPLESS_AWS=dynamodb-local.',
  )
}

/**
 * LocalStack 4.13.1 annotates with `Lock | None`, which fails before Python 3.13: threading.Lock is
 * a function there.
 */
async function repairAnnotation(environment: string): Promise<void> {
  const packages = join(environment, 'lib', 'python3.11', 'site-packages')
  const file = join(packages, 'localstack', 'packages', 'api.py')
  const before = await readFile(file, 'utf8')
  const after = before.replace(
    'install_lock: Lock | None = None',
    'install_lock: "Lock | None" = None',
  )
  if (after === before) {
    throw new Error(`${file} no longer has the annotation that needs the repair; remove it here.`)
  }
  await writeFile(file, after)
}

/** The first line of a tool's output with an error, otherwise its last line. */
function findErrorLine(output: string): string {
  const lines = output.split('\n').map(line => line.trim())
  const said = lines.filter(line => line !== '')
  return said.find(line => /error/i.test(line)) ?? said.at(-1) ?? 'no output'
}
