// `gapless drill failover` on real brokers: it passes, it fails with its account where a copy is
// broken, a flow beside it is untouched, and whatever ends it, nothing of it is left.

import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb'
import type { Kafka } from 'kafkajs'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type Context, createContext } from '../../cli/context.ts'
import { type DrillOrder, drillFailover } from '../../cli/drill/drill-failover.ts'
import { runOnce, syncFlows } from '../../cli/loops.ts'
import type { Drill } from '../../lib/core/row/drill-row.ts'
import { createGroupAdmin } from '../../lib/io/admin/group-admin.ts'
import { createDrillStore } from '../../lib/io/failover/drill-store.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import type { DrillReport } from '../../lib/run/drill/drill-report.ts'
import { until } from '../../localstack/processes/until.ts'
import {
  connectTo,
  createTopic,
  deleteRecords,
  produceBatches,
  withAdmin,
} from '../../localstack/scratch/topics.ts'
import { runGapless, startGapless } from '../support/processes/command-line.ts'
import { openSharedClusters } from '../support/worlds/shared-fixture.ts'

const table = `gapless-${randomUUID()}`
const ownTopic = `drilled-${randomUUID()}`
const ownGroup = `${ownTopic}-reader`
const beside = 'beside'
const plain = { name: 'plain', naming: 'identity' }
const noFolder = tmpdir()

let folder: string
let env: Record<string, string>
let client: DynamoDBClient
let clusters: Record<'primary' | 'standby', Kafka>

beforeAll(async () => {
  const { source, target, aws } = await openSharedClusters()
  folder = await mkdtemp(join(tmpdir(), 'gapless-drill-'))
  const file = join(folder, 'gapless.yml')
  // Its pattern matches the name of a scratch topic, too, as a pattern for everything would.
  const topics = [`/.*(gapless-drill-|${ownTopic}).*/`]
  const config = {
    clusters: { primary: { brokers: source.brokers }, standby: { brokers: target.brokers } },
    flows: [
      { name: beside, from: 'primary', to: 'standby', topics },
      { ...plain, from: 'primary', to: 'standby', topics: [`${ownTopic}-plain`] },
    ],
  }
  await writeFile(file, JSON.stringify(config))
  env = { ...aws.env, GAPLESS_CONFIG: file, GAPLESS_TABLE: table }
  client = createDynamoDbClient(env)
  await createTable(client, table)
  clusters = { primary: connectTo(source), standby: connectTo(target) }
  await createTopic(clusters.primary, ownTopic, { partitions: 2 })
  await produceBatches(clusters.primary, { topic: ownTopic, partition: 0 }, [
    [{ key: 'k', value: 'v' }],
  ])
})

afterAll(async () => {
  client?.destroy()
  await rm(folder, { recursive: true, force: true })
})

function openContext(): Context {
  const context = createContext(env)
  onTestFinished(() => context.close())
  return { ...context, note: () => undefined, log: () => undefined }
}

async function drill(context: Context, order: Partial<DrillOrder> = {}): Promise<DrillReport> {
  const [flow] = await context.flows(beside)
  if (flow === undefined) throw new Error('the configuration has no flow')
  return drillFailover(context, {
    ...{ flow, records: 200, partitions: 3, isKept: false, isDryRun: false, isConfirmed: true },
    ...order,
  })
}

/** Every row of the table, by its key. */
async function allRows() {
  const { Items = [] } = await client.send(new ScanCommand({ TableName: table }))
  return Items.toSorted((left, right) =>
    `${left.pk?.S} ${left.sk?.S}` < `${right.pk?.S} ${right.sk?.S}` ? -1 : 1,
  )
}

/** The topics and groups of both clusters with a name that begins like that of a drill. */
async function made(name = 'gapless-drill-'): Promise<string[]> {
  const found: string[] = []
  for (const [cluster, kafka] of Object.entries(clusters)) {
    await withAdmin(kafka, async admin => {
      const topics = await admin.listTopics()
      const { groups } = await admin.listGroups()
      found.push(
        ...topics.filter(each => each.includes(name)).map(each => `${cluster} topic ${each}`),
        ...groups
          .filter(each => each.groupId.includes(name))
          .map(each => `${cluster} group ${each.groupId}`),
      )
    })
  }
  return found.sort()
}

const wrongChecks = ({ checks }: DrillReport) =>
  checks.filter(each => each.expected !== each.found).map(each => each.check)

async function nothingIsLeft(): Promise<void> {
  // The controller has deleted the topics; a broker learns of it a moment later.
  await until('no broker lists a topic of a drill', async () => (await made()).length === 0)
  const drills = (await allRows()).filter(row => row.pk?.S?.startsWith('gapless-drill'))
  expect(drills).toEqual([])
}

test('a drill passes, and a flow beside it whose pattern matches the scratch topic has no row, topic or group of it', async () => {
  const context = openContext()
  const flows = await context.flows(beside)
  const groups = createGroupAdmin(await context.cluster('primary'))
  const read = { topic: ownTopic, partition: 0, offset: 1n, metadata: null }
  await groups.commitOffsets(ownGroup, [read])
  const tick = async () => {
    await runOnce(context, flows, new AbortController().signal)
    await syncFlows(context, flows, { mayCommit: true })
  }
  await tick()
  const before = await allRows()
  const seen: string[] = []
  const beforeStep = async (step: string, { drill: name }: Drill) => {
    // The functions of the flow run on, also while the group and both topics of the drill exist.
    if (step !== 'failover-planned' && step !== 'failback-unplanned') return
    await tick()
    seen.push(...(await made(name)))
    const own = (await allRows()).filter(row => row.pk?.S === beside)
    expect(own).toEqual(before)
  }

  const report = await drill(context, { beforeStep })

  expect(report.problems).toEqual([])
  expect(report).toMatchObject({ result: 'passed', left: [], leftovers: [] })
  expect(report.failovers).toMatchObject([
    { how: 'planned', recordsWritten: 200, recordsMissing: 0 },
    { how: 'unplanned', recordsWritten: 260, recordsMissing: 20 },
  ])
  expect(seen.length).toBeGreaterThan(4)
  expect(await allRows()).toEqual(before)
  await nothingIsLeft()
})

test('a record of others on the standby fails the drill, whose account names it, and nothing is left', async () => {
  const report = await drill(openContext(), {
    beforeStep: async (step, { targetTopic }) => {
      if (step !== 'compare-standby') return
      await produceBatches(clusters.standby, { topic: targetTopic, partition: 0 }, [
        [{ key: 'x', value: 'foreign' }],
      ])
    },
  })

  expect(report.result).toBe('failed')
  expect(wrongChecks(report)).toContain('records of others on standby')
  expect(report.problems.join('\n')).toMatch(/standby has a record of others in .* at offset \d+/)
  expect(report.failovers).toMatchObject([{ how: 'planned' }, { how: 'unplanned' }])
  await nothingIsLeft()
})

test('records that were deleted from the standby fail the drill, whose account names them', async () => {
  const report = await drill(openContext(), {
    beforeStep: async (step, { targetTopic }) => {
      if (step === 'compare-standby')
        await deleteRecords(clusters.standby, { topic: targetTopic, partition: 0, offset: 2 })
    },
  })

  expect(report.result).toBe('failed')
  expect(wrongChecks(report)).toContain('records that standby lacks')
  expect(report.problems).toContain('standby lacks record 3, 6')
  await nothingIsLeft()
})

test('a copy that is broken before the fail-over ends the drill there, with what stopped it', async () => {
  const report = await drill(openContext(), {
    beforeStep: async (step, { targetTopic }) => {
      if (step !== 'failover-planned') return
      await produceBatches(clusters.standby, { topic: targetTopic, partition: 0 }, [
        [{ key: 'x', value: 'foreign' }],
      ])
    },
  })

  expect(report.result).toBe('failed')
  expect(report.problems.join('\n')).toMatch(/the planned fail-over ended as (?:refused|aborted)/)
  expect(report.steps.at(-1)?.step).toBe('failover-planned')
  await nothingIsLeft()
})

test('a group that goes on elsewhere fails the drill', async () => {
  const context = openContext()
  const groups = createGroupAdmin(await context.cluster('standby'))
  const report = await drill(context, {
    beforeStep: async (step, { drill: group, targetTopic: topic }) => {
      if (step !== 'compare-standby') return
      await groups.commitOffsets(group, [{ topic, partition: 1, offset: 0n, metadata: null }])
    },
  })

  expect(wrongChecks(report)).toContain(
    'partitions in which the group goes on elsewhere on standby',
  )
  expect(report.problems.join('\n')).toMatch(
    /partition 1 on standby: the group goes on with record 1,/,
  )
  await nothingIsLeft()
})

test('what a killed drill has left is named by the next one and removed with --clean', async () => {
  const place = { cwd: noFolder, env }
  const drills = createDrillStore(client, table)
  const killed = startGapless(['drill', 'failover', '--flow', beside, '--yes'], place)
  await until('the drill has made a topic and rows', async () => {
    const [topics, rows] = [await made(), await allRows()]
    return topics.length > 1 && rows.some(row => row.sk?.S?.startsWith('checkpoint/__gapless'))
  })
  killed.signal('SIGKILL')
  await killed.ended
  const [left] = await drills.list()
  expect(left).toBeDefined()

  const next = await runGapless(['drill', 'failover', '--flow', beside, '--dry-run'], place)

  expect(next.code).toBe(0)
  expect(next.stderr).toContain(`warning: drill ${left?.drill} of `)
  expect(next.stderr).toContain('gapless drill failover --clean')
  const cleaned = await runGapless(
    ['drill', 'failover', '--flow', beside, '--clean', '--json'],
    place,
  )
  expect(JSON.parse(cleaned.stdout)).toMatchObject({ result: 'cleaned', left: [] })
  expect(cleaned.code).toBe(0)
  await nothingIsLeft()
})

test('--clean leaves a drill alone that still runs', async () => {
  const report = await drill(openContext(), {
    beforeStep: async step => {
      if (step !== 'write-source') return
      const args = ['drill', 'failover', '--flow', beside, '--clean', '--json']
      const { code, stdout } = await runGapless(args, { cwd: noFolder, env })
      const left = [expect.stringMatching(/^drill gapless-drill-.* runs \(/)]
      expect(JSON.parse(stdout)).toMatchObject({ result: 'not-cleaned', left })
      expect(code).toBe(1)
    },
  })

  expect(report).toMatchObject({ result: 'passed', problems: [] })
  await nothingIsLeft()
})

test('Ctrl-C ends a drill with 130, and nothing is left', async () => {
  const drilling = startGapless(['drill', 'failover', '--flow', beside, '--yes', '--json'], {
    cwd: noFolder,
    env,
  })
  await until('the drill has made its topic', async () => (await made()).length > 0)

  drilling.signal('SIGINT')

  const { code, stdout } = await drilling.ended
  const report: DrillReport = JSON.parse(stdout)
  expect(report).toMatchObject({ result: 'interrupted', left: [], problems: [] })
  expect(report.steps.map(each => each.step)).not.toContain('failback-unplanned')
  expect(code).toBe(130)
  await nothingIsLeft()
})

test('with names that stay the drill passes too; --keep leaves everything there until --clean, and without a terminal or --yes nothing is made', async () => {
  const context = openContext()
  const [flow] = await context.flows(plain.name)
  if (flow === undefined) throw new Error('the configuration has no flow with identity')
  const kept = await drill(context, { flow, isKept: true, records: 60 })
  expect(kept).toMatchObject({ result: 'passed', left: { length: 4 } })
  expect(await made(kept.drill ?? '')).toHaveLength(4)

  const cleaned = await runGapless(['drill', 'failover', '--flow', beside, '--clean'], {
    cwd: noFolder,
    env,
  })

  expect(cleaned).toMatchObject({ code: 0, stdout: 'drills: nothing of any drill is left\n' })
  await nothingIsLeft()
  const declined = await runGapless(['drill', 'failover', '--flow', beside, '--json'], {
    cwd: noFolder,
    env,
  })
  expect(JSON.parse(declined.stdout)).toMatchObject({ result: 'declined', steps: [] })
  expect(declined.code).toBe(3)
  expect(await made()).toEqual([])
})
