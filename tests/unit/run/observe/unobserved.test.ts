import { describe, expect, test } from 'vitest'
import type { LogLine } from '../../../../lib/core/monitoring/incident-lines.ts'
import type { ObservationFailure } from '../../../../lib/core/partition/observation.ts'
import {
  reportUnobserved,
  resolveAnswered,
  resolveCopied,
} from '../../../../lib/run/observe/unobserved.ts'
import { nothingCopied, type PartitionReport } from '../../../../lib/run/partition/partition-run.ts'
import { createVirtualClock } from '../../../support/doubles/virtual-clock.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'

const noAnswer: ObservationFailure = {
  kind: 'unobserved',
  reason: 'unreachable',
  cluster: 'primary',
  topic: null,
  detail: 'broker a:1: connect ECONNREFUSED',
}
const denied: ObservationFailure = {
  kind: 'unobserved',
  reason: 'authorization-denied',
  cluster: 'primary',
  topic: 'orders',
  detail: 'TOPIC_AUTHORIZATION_FAILED',
}

function setUp() {
  const { incidents } = createMemoryStores()
  const lines: LogLine[] = []
  const deps = { incidents, clock: createVirtualClock(), log: (line: LogLine) => lines.push(line) }
  return {
    deps,
    lines,
    report: (...observationFailures: ObservationFailure[]) =>
      reportUnobserved(deps, 'flow', observationFailures),
    answered: async (...observationFailures: ObservationFailure[]) =>
      resolveAnswered(
        deps,
        'flow',
        (await incidents.list('flow', 'open')).incidents,
        observationFailures,
      ),
    open: async () => (await incidents.list('flow', 'open')).incidents,
    all: async () => (await incidents.list('flow', 'all')).incidents,
  }
}

describe('a cluster that does not answer', () => {
  test('a cluster that does not answer is one open incident, with cluster, topic and detail', async () => {
    const { report, all } = setUp()
    await report(noAnswer)
    expect(await all()).toMatchObject([
      {
        kind: 'unreachable',
        resolution: 'open',
        topic: null,
        partition: null,
        evidence: { cluster: 'primary', detail: 'broker a:1: connect ECONNREFUSED' },
      },
    ])
  })

  test('a cluster that does not answer is one incident for all its partitions and all its ticks', async () => {
    const { deps, lines, report, all } = setUp()
    await report(noAnswer, noAnswer, noAnswer)
    expect(lines).toHaveLength(1)
    await deps.clock.wait(60_000)
    await report({ ...noAnswer, detail: 'another socket' }, noAnswer)
    expect(await all()).toHaveLength(1)
  })

  test('a cluster that does not answer is logged on every tick', async () => {
    const { report, lines } = setUp()
    await report(noAnswer)
    await report(noAnswer)
    expect(lines).toHaveLength(2)
    for (const { level, text } of lines) {
      expect(level).toBe('error')
      expect(text).toContain('Unreachable: cluster primary')
    }
  })

  test('a cluster that stops answering again is another incident', async () => {
    const { deps, report, answered, all } = setUp()
    await report(noAnswer)
    await answered()
    await deps.clock.wait(1)
    await report(noAnswer)
    const ids = (await all()).map(each => each.id)
    expect(new Set(ids).size).toBe(2)
  })

  test('a cluster that answers again ends its incident, and a line says so', async () => {
    const { report, answered, open, all, lines } = setUp()
    await report(noAnswer)
    await answered()
    expect(await open()).toEqual([])
    expect(await all()).toMatchObject([{ resolution: 'recovered' }])
    expect(lines.at(-1)?.text).toBe('Cluster primary, flow flow: answers again.')
  })

  test('an incident stays open while its cluster does not answer', async () => {
    const { report, answered, open } = setUp()
    await report(noAnswer)
    await answered(noAnswer)
    expect(await open()).toHaveLength(1)
  })
})

describe('different observation failures', () => {
  test('an unobserved cluster and an unobserved topic are two incidents, and end one by one', async () => {
    const { report, answered, open } = setUp()
    await report(noAnswer, denied)
    expect(await open()).toHaveLength(2)
    await answered(denied)
    expect(await open()).toMatchObject([{ kind: 'authorization-denied', topic: 'orders' }])
  })

  test('a topic has not answered while its whole cluster does not', async () => {
    const { report, answered, open } = setUp()
    await report(denied)
    await answered(noAnswer)
    expect(await open()).toMatchObject([{ kind: 'authorization-denied', topic: 'orders' }])
  })

  test('a topic that fails in another way has not answered', async () => {
    const { report, answered, open } = setUp()
    await report(denied)
    await answered({ ...denied, reason: 'unreachable' })
    expect(await open()).toMatchObject([{ kind: 'authorization-denied', topic: 'orders' }])
  })

  test('two clusters that do not answer are two incidents', async () => {
    const { report, open } = setUp()
    await report(noAnswer, { ...noAnswer, cluster: 'standby' })
    expect((await open()).map(each => each.evidence.cluster).sort()).toEqual(['primary', 'standby'])
  })
})

describe('a permission to read or write that is missing', () => {
  const unreadable: ObservationFailure = { ...denied, foundCopying: true }
  const copied = (topic: string, recordsReplicated: bigint): PartitionReport => ({
    topic,
    partition: 0,
    outcome: 'drained',
    detail: null,
    ...nothingCopied,
    recordsReplicated,
    state: { kind: 'unstarted' },
  })

  test('a denied fetch or produce is not over because the topic can be described', async () => {
    const { report, answered, open, all } = setUp()
    await report(unreadable)
    await answered()
    await report(unreadable)
    expect(await open()).toHaveLength(1)
    expect(await all()).toHaveLength(1)
  })

  test('a denied fetch or produce is over when records of the topic were copied, and only then', async () => {
    const { deps, report, open, all } = setUp()
    const run = (partitions: PartitionReport[], observationFailures: ObservationFailure[] = []) =>
      resolveCopied(deps, 'flow', { partitions, observationFailures })
    await report(unreadable)
    await run([copied('orders', 0n)])
    await run([copied('payments', 5n)])
    await run([copied('orders', 5n)], [unreadable])
    expect(await open()).toHaveLength(1)
    await run([copied('orders', 5n)])
    expect(await open()).toEqual([])
    expect(await all()).toMatchObject([{ resolution: 'recovered' }])
  })
})

test('an answering cluster ends no incident about lost records', async () => {
  const { deps, answered, open } = setUp()
  await deps.incidents.record({
    id: 'log-truncated:orders:0',
    kind: 'log-truncated',
    flow: 'flow',
    topic: 'orders',
    partition: 0,
    resolution: 'open',
    detectedAtMs: 1,
    expectedOffset: null,
    foundOffset: null,
    lostRecordsMax: 5n,
    evidence: { cluster: 'primary' },
  })
  await answered()
  expect(await open()).toHaveLength(1)
})

test('without a failure no incident is stored and no line is logged', async () => {
  const { report, answered, all, lines } = setUp()
  await report()
  await answered()
  expect([await all(), lines]).toEqual([[], []])
})
