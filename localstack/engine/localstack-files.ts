// The folders that LocalStack 4.13.1 searches before it downloads, laid out so that it finds
// DynamoDB Local and Java there.

import { copyFile, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchDynamoDbLocal } from '../artifacts.ts'
import { runCommand } from '../processes/os-process.ts'
import { type Report, StackError } from '../processes/stack-error.ts'
import { findJava, findJavaHome } from '../processes/tools.ts'

/**
 * Prepares LocalStack's file system root, at each start: the cache or Java may have moved, and it
 * takes a fraction of a second.
 * @param options.root becomes FILESYSTEM_ROOT.
 * @param options.python runs Python's zipfile module, the jar tool of a machine that has only a
 * JRE.
 */
export async function layOutLocalStackFiles(options: {
  root: string
  python: string
  report: Report
}): Promise<void> {
  const jars = await fetchDynamoDbLocal(options.report)
  const libraries = join(options.root, 'var', 'lib', 'localstack', 'lib')
  const dynamoDb = join(libraries, 'dynamodb-local', '2')
  await mkdir(dynamoDb, { recursive: true })
  await mkdir(join(libraries, 'java'), { recursive: true })
  // LocalStack looks for its own Java 21; any Java that runs DynamoDB Local works.
  await link(await findJavaHome(await findJava()), join(libraries, 'java', '21'))
  await link(jars, join(dynamoDb, 'DynamoDBLocal_lib'))
  // LocalStack's Java agent lifts DynamoDB Local's limit of 20 secondary indexes. This stand-in
  // does nothing: no table here has 20.
  const agent = (await readdir(jars)).find(name => name.startsWith('byte-buddy-agent-'))
  if (agent === undefined) throw new Error(`${jars} lacks byte-buddy-agent`)
  await copyFile(join(jars, agent), join(dynamoDb, 'ddb-local-loader-0.1.jar'))
  await writeLauncherJar({ python: options.python, jars, directory: dynamoDb })
}

async function link(target: string, path: string): Promise<void> {
  await rm(path, { force: true })
  await symlink(target, path)
}

/**
 * DynamoDBLocal.jar for LocalStack's `java -jar`: only a manifest, with Maven's jars as class path.
 */
async function writeLauncherJar(options: {
  python: string
  jars: string
  directory: string
}): Promise<void> {
  const names = (await readdir(options.jars)).filter(name => name.endsWith('.jar')).sort()
  const classPath = names.map(name => `DynamoDBLocal_lib/${name}`).join(' ')
  const manifest = [
    'Manifest-Version: 1.0',
    'Main-Class: software.amazon.dynamodb.services.local.main.ServerRunner',
    ...foldManifestLine(`Class-Path: ${classPath}`),
    '',
    '',
  ].join('\r\n')
  const folder = join(options.directory, 'META-INF')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'MANIFEST.MF'), manifest)
  const { code, output } = await runCommand({
    command: options.python,
    args: ['-m', 'zipfile', '-c', 'DynamoDBLocal.jar', 'META-INF'],
    cwd: options.directory,
  })
  if (code === 0) return
  throw new StackError(
    `${options.python} could not write DynamoDBLocal.jar (exit ${code}): ${output.trim()}`,
    'Remove the LocalStack folder of the download cache, so that it is fetched again.',
  )
}

/**
 * A manifest line has at most 72 bytes; a continuation line starts with a space (JAR
 * specification).
 */
function foldManifestLine(line: string): string[] {
  const folded = [line.slice(0, 70)]
  for (let at = 70; at < line.length; at += 69) folded.push(` ${line.slice(at, at + 69)}`)
  return folded
}
