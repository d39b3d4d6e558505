// The folder of a broker as it is formatted without Kafka's storage tool, beside one that the tool
// formats.

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { fetchKafka } from '../../localstack/artifacts.ts'
import { renderProperties } from '../../localstack/kafka/properties.ts'
import {
  bootstrapMetadata,
  dataDirectory,
  formatWithCopy,
  formatWithTool,
} from '../../localstack/kafka/storage.ts'
import { findJava } from '../../localstack/processes/tools.ts'

test("a folder that is formatted with a copy has the files and settings of one that Kafka's storage tool formats", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gapless-format-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const [byTool, byCopy] = [join(folder, 'tool'), join(folder, 'copy')]
  const [java, jars] = [await findJava(), await fetchKafka()]
  const propertiesFile = join(folder, 'server.properties')
  const nodes = { nodeId: 7, controllerNodeId: 7, port: 1, controllerPort: 2 }
  const own = { dataDirectory: dataDirectory(byTool), overrides: {} }
  await writeFile(propertiesFile, renderProperties({ ...nodes, ...own }))
  const clusterId = 'A23456789-123456789_12'

  await formatWithTool(byTool, { java, jars, propertiesFile, clusterId })
  const metadataFile = bootstrapMetadata(byTool)
  await formatWithCopy(byCopy, { metadataFile, clusterId, nodeId: 7 })

  const [tool, copy] = await Promise.all([byTool, byCopy].map(contentsOf))
  expect(copy?.files).toEqual(tool?.files)
  expect(copy?.settings).toEqual({ ...tool?.settings, 'directory.id': expect.any(String) })
  expect(copy?.settings['directory.id']).toHaveLength(tool?.settings['directory.id']?.length ?? 0)
  expect(copy?.settings['directory.id']).not.toBe(tool?.settings['directory.id'])
})

async function contentsOf(dir: string) {
  const data = dataDirectory(dir)
  const names = (await readdir(data)).toSorted()
  const lines = (await readFile(join(data, 'meta.properties'), 'utf8')).split('\n')
  const settings = lines.filter(line => line.includes('=')).map(line => line.split('='))
  const { size } = await stat(bootstrapMetadata(dir))
  return {
    files: { names, metadataBytes: size },
    settings: Object.fromEntries(settings) as Record<string, string>,
  }
}
