// What a broker's folder keeps between two starts: cluster id, ports, and the mark that it was
// formatted.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../processes/os-process.ts'
import { findFreePort, isPortFree } from '../processes/ports.ts'
import { StackError } from '../processes/stack-error.ts'
import { findKafkaError } from './readiness.ts'

export type ClusterIdentity = { clusterId: string; controllerPort: number }

/** A restart keeps these values: clients know the port, and the data has the cluster id. */
export type BrokerIdentity = ClusterIdentity & { port: number }

const identityName = 'broker.json'
const markName = 'formatted'
const dataName = 'data'

/** A file of the storage tool, the same for each cluster and node. */
export function bootstrapMetadata(dir: string): string {
  return join(dataDirectory(dir), 'bootstrap.checkpoint')
}

/** The folder of the logs (`log.dirs`). */
export function dataDirectory(dir: string): string {
  return join(dir, dataName)
}

/**
 * Reads the folder's identity, fills it up with free ports and a new cluster id, and stores it.
 * @param wanted.port the listener's port; undefined: any.
 * @param wanted.cluster the cluster to join; undefined: a cluster of its own.
 * @param wanted.newPorts choose new ports: a stored one turned out to be taken.
 */
export async function settleIdentity(
  dir: string,
  wanted: { port: number | undefined; cluster: ClusterIdentity | undefined; newPorts: boolean },
): Promise<BrokerIdentity> {
  const file = join(dir, identityName)
  const before = existsSync(file)
    ? (JSON.parse(await readFile(file, 'utf8')) as BrokerIdentity)
    : undefined
  const known = wanted.newPorts ? undefined : before
  const identity: BrokerIdentity = {
    clusterId: wanted.cluster?.clusterId ?? before?.clusterId ?? createUuid(),
    port: wanted.port ?? known?.port ?? (await findFreePort()),
    controllerPort:
      wanted.cluster?.controllerPort ?? (await settleControllerPort(known?.controllerPort)),
  }
  await writeFile(file, `${JSON.stringify(identity)}\n`)
  return identity
}

/** Only the broker itself uses the controller's port, so any free one does when it is taken. */
async function settleControllerPort(before: number | undefined): Promise<number> {
  return before !== undefined && (await isPortFree(before)) ? before : findFreePort()
}

/** A Kafka Uuid: 16 bytes in base64url. Kafka's tools would read a leading dash as an option. */
function createUuid(): string {
  return randomBytes(16).toString('base64url').replace(/^-/, 'A')
}

/** A folder is formatted unless its mark is there. An interrupted work left no mark. */
export async function formatOnce(
  dir: string,
  clusterId: string,
  format: () => Promise<void>,
): Promise<void> {
  const mark = join(dir, markName)
  if (existsSync(mark)) return
  await format()
  await writeFile(mark, `${clusterId}\n`)
}

/**
 * Writes what the storage tool writes, in no time: a copy of its `bootstrap.checkpoint`, and
 * meta.properties (MetaProperties.java, version 1) with an id for this folder.
 */
export async function formatWithCopy(
  dir: string,
  copy: { metadataFile: string; clusterId: string; nodeId: number },
): Promise<void> {
  await mkdir(dataDirectory(dir), { recursive: true })
  await copyFile(copy.metadataFile, bootstrapMetadata(dir))
  const properties = {
    version: 1,
    'cluster.id': copy.clusterId,
    'node.id': copy.nodeId,
    'directory.id': createUuid(),
  }
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
  await writeFile(join(dataDirectory(dir), 'meta.properties'), lines.join(''))
}

/**
 * Formats with Kafka's storage tool, which takes a second or two.
 * @throws StackError with the tool's output.
 */
export async function formatWithTool(
  dir: string,
  tool: { java: string; jars: string; propertiesFile: string; clusterId: string },
): Promise<void> {
  const { code, output } = await runCommand({
    command: tool.java,
    args: [
      // The tool ends before the optimising compiler would pay off.
      '-XX:TieredStopAtLevel=1',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
      '-cp',
      join(tool.jars, '*'),
      'kafka.tools.StorageTool',
      'format',
      '--ignore-formatted',
      '--cluster-id',
      tool.clusterId,
      '--config',
      tool.propertiesFile,
    ],
  })
  if (code !== 0) {
    const reason = findKafkaError(output) ?? output.trim()
    throw new StackError(
      `Kafka's storage tool could not format ${dir} (exit ${code}): ${reason}`,
      'Remove that folder and try again.',
    )
  }
}

/** Removes everything but the broker's log file, which stays for analysis. */
export async function removeKafkaData(dir: string): Promise<void> {
  // Removes the mark first: an interrupted removal must not leave a folder that looks formatted.
  for (const name of [markName, identityName, dataName]) {
    await rm(join(dir, name), { recursive: true, force: true })
  }
}
