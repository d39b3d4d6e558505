// Flows in both directions at once with prefixed names, as users of MirrorMaker 2 run them, by the
// command line on real brokers: records, groups and configs each way, a planned fail-over of one
// flow while the other one runs, and the way home of what applications wrote to either topic.

import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { IncidentsReport, RunReport, StatusReport } from '../../lib/run/operate/report.ts'
import { contentsOf, records } from '../support/kafka/records.ts'
import { type Ended, runGapless } from '../support/processes/command-line.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { type GroupWorld, openGroupWorld } from '../support/worlds/group-world.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture
let groups: GroupWorld
let folder: string
let env: Record<string, string>

const tag = `both-${randomUUID()}`
const topic = `${tag}.orders`
const group = `${tag}-readers`
/** Has the prefix of every copy, so that only the rule about copies keeps them from going on. */
const topics = [`/.*${tag}\\..*/`]

beforeAll(async () => {
  world = await openSharedFixture()
  groups = openGroupWorld(world)
  folder = await mkdtemp(join(tmpdir(), 'gapless-both-'))
  const GAPLESS_CONFIG = join(folder, 'gapless.yml')
  const fields = { topics, groups: [group], naming: 'prefix' }
  const config = {
    clusters: {
      primary: { brokers: world.source.brokers },
      standby: { brokers: world.target.brokers },
    },
    flows: [
      { name: 'there', from: 'primary', to: 'standby', ...fields },
      { name: 'other-way', from: 'standby', to: 'primary', ...fields },
    ],
  }
  // JSON is YAML.
  await writeFile(GAPLESS_CONFIG, JSON.stringify(config))
  env = { ...world.aws.env, GAPLESS_CONFIG, GAPLESS_TABLE: world.table }
})

afterAll(async () => {
  await groups?.close()
  await world?.disconnect()
  await rm(folder, { recursive: true, force: true })
})

type Side = 'primary' | 'standby'

const gapless = (...args: string[]): Promise<Ended> => runGapless(args, { cwd: folder, env })

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await gapless(...args)
  expect(code, `${args.join(' ')}: ${stderr}`).toBe(0)
  return stdout
}

/** One run of both flows; how many records each has copied. */
async function runBoth(): Promise<Record<string, number>> {
  const report: RunReport = JSON.parse(await done('run', '--once', '--json'))
  return Object.fromEntries(
    report.flows.map(({ name, partitions }) => [
      name,
      partitions.reduce((sum, each) => sum + Number(each.recordsReplicated), 0),
    ]),
  )
}

const onSide = (side: Side) => (side === 'primary' ? world.onPrimary : world.onStandby)

const topicsOn = async (side: Side) =>
  (await onSide(side)(admin => admin.listTopics())).filter(name => name.includes(tag)).sort()

const contents = async (side: Side, name: string) => contentsOf(await world.readAll(side, name))

const retentionOf = (side: Side, name: string) =>
  onSide(side)(async admin => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name, configNames: ['retention.ms'] }],
    })
    return resources[0]?.configEntries[0]?.configValue
  })

const copies = { onStandby: `primary.${topic}`, onPrimary: `standby.${topic}` }

test('records, offsets and configs travel both ways at once, and no copy is copied again', async () => {
  await world.createTopic(topic, { configs: { 'retention.ms': '111000000' } })
  await world.createStandbyTopic(topic, { configs: { 'retention.ms': '222000000' } })
  await world.produce(topic, records(0, 10, 'primary'))
  await world.produceToStandby(topic, records(0, 6, 'standby'))

  expect(await runBoth()).toEqual({ there: 10, 'other-way': 6 })
  expect(await runBoth()).toEqual({ there: 0, 'other-way': 0 })
  await groups.commit('primary', group, { topic, offset: 7 })
  await groups.commit('standby', group, { topic, offset: 3 })
  await done('sync')
  await world.setTopicConfigs('primary', topic, { 'retention.ms': '112000000' })
  await done('sync')

  expect(await contents('standby', copies.onStandby)).toEqual(records(0, 10, 'primary'))
  expect(await contents('primary', copies.onPrimary)).toEqual(records(0, 6, 'standby'))
  expect(await contents('primary', topic)).toEqual(records(0, 10, 'primary'))
  expect(await contents('standby', topic)).toEqual(records(0, 6, 'standby'))
  expect(await topicsOn('primary')).toEqual([topic, copies.onPrimary])
  expect(await topicsOn('standby')).toEqual([topic, copies.onStandby].sort())
  expect(await groups.committed('standby', group, copies.onStandby)).toBe(7n)
  expect(await groups.committed('primary', group, copies.onPrimary)).toBe(3n)
  expect(await groups.committed('primary', group, topic)).toBe(7n)
  expect(await groups.committed('standby', group, topic)).toBe(3n)
  expect(await retentionOf('standby', copies.onStandby)).toBe('112000000')
  expect(await retentionOf('primary', copies.onPrimary)).toBe('222000000')
})

test('one flow fails over while the other one runs, and both ways of writing on the standby come home', async () => {
  await world.produceToStandby(topic, records(6, 4, 'standby'))
  const [, meanwhile] = await Promise.all([
    done('failover', '--flow', 'there', '--planned', '--yes'),
    done('run', '--once', '--flow', 'other-way', '--json'),
  ])
  expect((JSON.parse(meanwhile) as RunReport).recordsReplicated).toBe('4')

  // Applications on the standby write to the copy, and to the topic under its own name.
  await world.produceToStandby(copies.onStandby, records(0, 5, 'on the copy'))
  await world.produceToStandby(topic, records(10, 2, 'standby'))
  // They have read the copy up to its second new record, which lies behind the fence.
  const behindFence = (await world.readAll('standby', copies.onStandby)).at(12)?.offset ?? ''
  await groups.commit('standby', group, { topic: copies.onStandby, offset: Number(behindFence) })
  expect(await runBoth()).toEqual({ there: 0, 'other-way': 2 })
  expect(await contents('primary', copies.onPrimary)).toEqual(records(0, 12, 'standby'))

  await done('failback', '--flow', 'there', '--yes')
  await world.produce(topic, records(10, 3, 'primary'))
  expect(await runBoth()).toEqual({ there: 3, 'other-way': 0 })
  await done('sync')

  const home = [...records(0, 10, 'primary'), ...records(0, 5, 'on the copy')]
  const everything = [...home, ...records(10, 3, 'primary')]
  expect(await contents('primary', topic)).toEqual(everything)
  expect(await contents('standby', copies.onStandby)).toEqual(everything)
  expect(await contents('primary', copies.onPrimary)).toEqual(records(0, 12, 'standby'))
  expect(await contents('standby', topic)).toEqual(records(0, 12, 'standby'))
  expect(await topicsOn('primary')).toEqual([topic, copies.onPrimary])
  expect(await topicsOn('standby')).toEqual([topic, copies.onStandby].sort())
  // The group goes on behind the same record, the second one that applications wrote on the copy.
  const next = Number(await groups.committed('primary', group, topic))
  const left = (await world.readAll('primary', topic)).filter(
    ({ offset }) => Number(offset) >= next,
  )
  expect(contentsOf(left)).toEqual(everything.slice(12))
  expect(await groups.committed('primary', group, copies.onPrimary)).toBe(3n)
})

test('afterwards both flows are active, without an incident, and say which topics are copies', async () => {
  const { incidents }: IncidentsReport = JSON.parse(await done('incidents', '--json'))
  expect(incidents).toEqual([])
  const { flows }: StatusReport = JSON.parse(await done('status', '--json'))
  expect(flows.map(each => each.name)).toEqual(['there', 'other-way'])
  const said = flows.map(each => each.warnings.filter(text => text.includes('as copies')))
  expect(said).toEqual([
    [expect.stringContaining(copies.onPrimary)],
    [expect.stringContaining(copies.onStandby)],
  ])
})
