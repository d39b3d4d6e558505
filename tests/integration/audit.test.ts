// `gapless audit` on real brokers: what gapless copied adds up and has no difference, however the
// source was written, and each way to spoil the standby is named.

import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { differencesIn, type PartitionAuditReport } from '../../lib/core/audit/report.ts'
import { until } from '../../localstack/processes/until.ts'
import { records } from '../support/kafka/records.ts'
import { type Ended, runGapless, startGapless } from '../support/processes/command-line.ts'
import { type SharedFlowFixture, smallBudgets } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(() => world?.disconnect())

type Flow = ReturnType<SharedFlowFixture['flow']>

async function auditOf(flow: Flow, request = {}): Promise<PartitionAuditReport> {
  const report = await world.audit(flow, request)
  const [partition] = report.partitions
  if (partition === undefined) throw new Error(`nothing of ${flow.name} was compared`)
  return partition
}

const named = (audit: PartitionAuditReport) =>
  audit.differences.map(({ kind, sourceOffset, targetOffset, field }) =>
    [kind, sourceOffset, targetOffset, field].join(' '),
  )

/** No difference, and every offset accounted for as `counts` say. */
function expectWell(audit: PartitionAuditReport, counts: Record<string, string>): void {
  expect(named(audit)).toEqual([])
  expect(audit).toMatchObject({ problem: null, addsUp: true, notes: [], ...counts })
}

async function transact(topic: string, ends: readonly ('commit' | 'abort')[]): Promise<void> {
  const producer = world.primaryKafka.producer({
    transactionalId: `${topic}-writer`,
    maxInFlightRequests: 1,
    idempotent: true,
  })
  await producer.connect()
  for (const [nth, end] of ends.entries()) {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: records(nth * 10, 10, end) })
    await transaction[end]()
  }
  await producer.disconnect()
}

const ways = [
  ['translate', {}],
  ['preserve', { offsets: 'preserve' }],
] as const

for (const [way, overrides] of ways) {
  test(`a plain topic, offsets: ${way}; what is not copied yet is pending`, async () => {
    const topic = `audit.plain.${way}`
    await world.createTopic(topic)
    const flow = world.flow([topic], { ...overrides, budgets: smallBudgets })
    await world.produceInBatches(topic, records(0, 200), { size: 7 })
    await world.run(flow)
    expectWell(await auditOf(flow), { replicated: '200', pending: '0' })
    await world.produceInBatches(topic, records(200, 50), { size: 7 })
    expectWell(await auditOf(flow), { replicated: '200', pending: '50' })
    expectWell(await auditOf(flow, { isDeep: true }), { replicated: '200', pending: '50' })
  })

  test(`a transactional topic, offsets: ${way}`, async () => {
    const topic = `audit.transactional.${way}`
    await world.createTopic(topic)
    const flow = world.flow([topic], overrides)
    await transact(topic, ['commit', 'abort', 'commit', 'abort', 'abort', 'commit'])
    await world.run(flow)
    const audit = await auditOf(flow)
    expectWell(audit, { replicated: '30', aborted: '30', control: '6', sourceLogEndOffset: '66' })
  })
}

test('a record that was written to the standby by somebody else is foreign', async () => {
  const topic = 'audit.foreign'
  await world.createTopic(topic)
  const flow = world.flow([topic])
  await world.produceInBatches(topic, records(0, 20), { size: 5 })
  await world.run(flow)
  await world.produceToStandby(`primary.${topic}`, records(900, 1))
  await world.produceToStandby(`primary.${topic}`, records(3, 1))
  await world.produceInBatches(topic, records(20, 20), { size: 5 })
  await world.run(flow)
  const audit = await auditOf(flow)
  expect(named(audit)).toEqual(['foreign  20 ', 'duplicated 3 21 '])
  expect(audit).toMatchObject({ replicated: '40', addsUp: true })
  expect(differencesIn({ partitions: [audit] })).toBe(2)
})

test('records that are missing, swapped and changed on a standby that somebody else filled', async () => {
  const topic = 'audit.spoiled'
  await world.createTopic(topic)
  await world.createStandbyTopic(`primary.${topic}`)
  const written = records(0, 30)
  const at = (place: number) => written[place] as (typeof written)[0]
  await world.produceInBatches(topic, written, { size: 10 })
  const spoiled = written
    .with(4, at(5))
    .with(5, at(4))
    .with(20, { ...at(20), value: 'changed' })
    .toSpliced(12, 1)
  await world.produceToStandby(`primary.${topic}`, spoiled)
  const flow = world.flow([topic])
  await world.run(flow)
  const audit = await auditOf(flow)
  expect(named(audit)).toEqual([
    'reordered 5 4 ',
    'reordered 4 5 ',
    'missing 12  ',
    'changed 20 19 value',
  ])
})

test('what retention removed in front of the copy is lost to an incident, or removed', async () => {
  const topic = 'audit.truncated'
  await world.createTopic(topic)
  const flow = world.flow([topic], { onTruncation: 'continue' })
  await world.produceInBatches(topic, records(0, 20), { size: 5 })
  await world.run(flow)
  await world.produceInBatches(topic, records(20, 20), { size: 5 })
  await world.deleteRecords(topic, 30)
  await world.run(flow)
  const audit = await auditOf(flow)
  expectWell(audit, { replicated: '10', lost: '10', removedFromSource: '20' })
  expect(audit.accountedFor).toEqual([
    expect.objectContaining({ what: 'lost', from: '20', to: '30' }),
  ])
})

test('what applications write to the standby behind a fail-over is theirs', async () => {
  const topic = 'audit.failed-over'
  await world.createTopic(topic)
  const flow = world.flow([topic])
  await world.produceInBatches(topic, records(0, 20), { size: 5 })
  await world.run(flow)
  const { kind } = await world.failOver(flow, { how: 'planned', topics: null })
  expect(kind).toBe('done')
  await world.produceToStandby(`primary.${topic}`, records(500, 3))
  expectWell(await auditOf(flow), { replicated: '20', pending: '0' })
})

test('timestamps that the standby sets are left out, and the report says of how many', async () => {
  const topic = 'audit.append-time'
  await world.createTopic(topic)
  await world.createStandbyTopic(`primary.${topic}`, {
    configs: { 'message.timestamp.type': 'LogAppendTime' },
  })
  const flow = world.flow([topic])
  await world.produceInBatches(topic, records(0, 20), { size: 5 })
  await world.run(flow)
  expectWell(await auditOf(flow), { replicated: '20', timestampsLeftOut: '20' })
})

test('a source topic that was recreated is compared from its own first record', async () => {
  const topic = 'audit.reset'
  await world.createTopic(topic)
  const flow = world.flow([topic])
  await world.produceInBatches(topic, records(0, 20), { size: 5 })
  await world.run(flow)
  await world.deleteTopic(topic)
  await world.createTopic(topic)
  await world.produceInBatches(topic, records(100, 15), { size: 5 })
  await world.run(flow)
  expectWell(await auditOf(flow), { replicated: '15', sourceLogEndOffset: '15' })
})

test('a sample compares parts of the log, and since compares its end', async () => {
  const topic = 'audit.sample'
  await world.createTopic(topic)
  const flow = world.flow([topic])
  await world.produceInBatches(topic, records(0, 400), { size: 10 })
  await world.run(flow)
  const sample = { kind: 'sample', offsets: 80n, seed: 3 }
  expectWell(await auditOf(flow, { range: sample }), { replicated: '80', notCompared: '320' })
  const [, , third] = (await world.readAll('primary', topic)).slice(300)
  const since = { kind: 'since', timeMs: Number(third?.timestamp) }
  const audit = await auditOf(flow, { range: since })
  expectWell(audit, { notCompared: third?.offset ?? '' })
})

const cleanedAtOnce = {
  'cleanup.policy': 'compact',
  'segment.ms': '9',
  'min.cleanable.dirty.ratio': '0',
  'min.compaction.lag.ms': '0',
}

test('a compacted topic that the source has cleaned and the standby has not', async () => {
  const topic = 'audit.compacted'
  await world.createTopic(topic, { configs: cleanedAtOnce })
  const keeps = { 'cleanup.policy': 'compact', 'min.compaction.lag.ms': '3600000' }
  await world.createStandbyTopic(`primary.${topic}`, { configs: keeps })
  const flow = world.flow([topic])
  const values = (from: number) =>
    records(from, 40).map((each, index) => ({ ...each, key: `key-${index % 10}` }))
  await world.produceInBatches(topic, values(0), { size: 10 })
  await world.run(flow)
  await world.produceInBatches(topic, values(40), { size: 10 })
  await world.run(flow)
  await until('the cleaner of the source has removed older values', async () => {
    return (await world.readAll('primary', topic)).length < 60
  })
  await world.produce(topic, values(80).slice(0, 1))
  await world.run(flow)
  const audit = await auditOf(flow)
  expectWell(audit, { pending: '0' })
  expect(BigInt(audit.compacted)).toBeGreaterThan(20n)
  expect(BigInt(audit.onStandbyAlone.compacted)).toBeGreaterThan(0n)
})

/** The command line, with the clusters and the table of this file. */
async function commandLine(flow: Record<string, unknown>) {
  const folder = await mkdtemp(join(tmpdir(), 'gapless-audit-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const config = join(folder, 'gapless.yml')
  const document = world.document(flow)
  const clusters = Object.fromEntries(
    Object.entries(document.clusters).map(([name, { brokers }]) => [
      name,
      { brokers: [brokers].flat(), tls: false },
    ]),
  )
  await writeFile(config, JSON.stringify({ ...document, clusters }))
  const env = { ...world.aws.env, GAPLESS_CONFIG: config, GAPLESS_TABLE: world.table }
  const place = { cwd: folder, env }
  return {
    folder,
    gapless: (...args: string[]): Promise<Ended> => runGapless(args, place),
    start: (...args: string[]) => startGapless(args, place),
  }
}

test('two topics that gapless did not copy: what the other one doubled, left out and changed', async () => {
  const topic = 'audit.mirrored'
  await world.createTopic(topic)
  await world.createStandbyTopic('mirror.copy')
  const written = records(0, 300)
  await world.produceInBatches(topic, written, { size: 30 })
  const at = (place: number) => written[place] as (typeof written)[0]
  const copied = written.with(200, { ...at(200), headers: {} }).toSpliced(100, 2)
  // A restart copies from an earlier place on.
  const twice = [...copied.slice(0, 50), ...copied.slice(10)]
  await world.produceToStandby('mirror.copy', twice)
  const { gapless, folder } = await commandLine({ name: 'unused', topics: [topic] })
  const pair = ['--source', 'primary', '--target', 'standby', '--topic', `${topic}:mirror.copy`]
  const ended = await gapless('audit', ...pair, '--json', '--out', 'report.json')
  expect(ended.stderr).not.toContain('error')
  expect(ended.code).toBe(4)
  const { flows } = JSON.parse(ended.stdout) as { flows: { partitions: PartitionAuditReport[] }[] }
  const audit = flows[0]?.partitions[0] as PartitionAuditReport
  const found = named(audit)
  expect(found.length).toBe(43)
  expect(found.filter(each => each.startsWith('duplicated')).length).toBe(40)
  expect(found).toEqual(
    expect.arrayContaining(['missing 100  ', 'missing 101  ', 'changed 200 238 headers']),
  )
  expect(audit.addsUp).toBe(true)
  const kept = JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'))
  expect(kept).toEqual(JSON.parse(ended.stdout))
  expect(kept.flows[0].source.clusterId).toEqual(expect.any(String))
  const text = await gapless('audit', ...pair)
  expect(text.code).toBe(4)
  expect(text.stdout).toContain('43 differences')
  expect(text.stdout).toContain(
    `duplicated: mirror.copy:0@50 to 89 are ${topic}:0@10 to 49 once more`,
  )
  expect(text.stdout).toContain(`missing: ${topic}:0@100 to 101 are not on the target`)
})

test('an audit that is interrupted goes on where it stood, and comes to the same digests', async () => {
  const topic = 'audit.interrupted'
  await world.createTopic(topic)
  const padded = records(0, 6_000).map(each => ({ ...each, value: `${each.value}`.padEnd(1_000) }))
  const flow = world.flow([topic])
  await world.produceInBatches(topic, padded, { size: 100 })
  await world.run(flow)
  const { gapless, start, folder } = await commandLine({ name: flow.name, topics: [topic] })
  const slow = ['audit', '--json', '--state', 'state', '--bytes-per-second']
  const first = start(...slow, '600000')
  await until('its state is stored', () =>
    stat(join(folder, 'state')).then(
      () => true,
      () => false,
    ),
  )
  first.signal('SIGINT')
  const interrupted = await first.ended
  expect(interrupted.code).toBe(130)
  expect(JSON.parse(interrupted.stdout).flows[0].partitions[0].problem).toBe('interrupted')
  const whole = await gapless('audit', '--json')
  const second = await gapless(...slow, '100000000')
  expect([second.code, whole.code]).toEqual([0, 0])
  const [left, right] = [whole, second].map(each => JSON.parse(each.stdout).flows[0].partitions[0])
  expect(right).toEqual({ ...left, bytesRead: right.bytesRead })
  expect(await stat(join(folder, 'state')).catch(() => null)).toBeNull()
  const other = await gapless('audit', '--json', '--sample', '10', '--full')
  expect(other.code).toBe(2)
})
