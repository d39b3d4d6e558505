import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  assignedPartitionsMax,
  clockSkewMsMax,
  reservedWorkersMax,
} from '../../../../lib/core/config/defaults.ts'
import { chainsOf, handOut } from '../../../../lib/core/plan/joining.ts'
import { packShards, type Work } from '../../../../lib/core/plan/shard-packing.ts'
import type { Worker } from '../../../../lib/core/row/worker-row.ts'

const t0 = 1_700_000_000_000

function worker(name: string, change: Partial<Worker> = {}): Worker {
  return {
    flow: 'primary-to-standby',
    worker: name,
    role: 'worker',
    run: `run of ${name}`,
    invocation: null,
    beganAtMs: t0,
    renewedAtMs: t0,
    aliveUntilMs: t0 + 6_000,
    partitions: 0,
    assigned: [],
    successor: null,
    endedAtMs: null,
    ...change,
  }
}

function work(partition: number, lagRecords = 0): Work {
  return { topic: 'orders', partition, lagRecords: BigInt(lagRecords) }
}
const works = (count: number, from = 0) =>
  Array.from({ length: count }, (_, each) => work(from + each))
const numbersOf = (all: readonly Work[]) => all.map(each => each.partition)
const assigned = (...partitions: number[]) =>
  partitions.map(partition => ({ topic: 'orders', partition, topicIsKnown: true }))

describe('which workers count as chains', () => {
  test('a worker that runs and one that is about to start count, each once', () => {
    const reserved = worker('b', { run: null, aliveUntilMs: t0 + 30_000 })
    const named = (workers: Worker[]) => chainsOf(workers, t0).map(each => each.worker)
    expect(named([worker('a'), reserved])).toEqual(['a', 'b'])
  })

  test.each([
    ['has named its successor', { successor: 'b' }],
    ['was declared ended', { endedAtMs: t0 }],
    ['has a lease that is over', { aliveUntilMs: t0 }],
    ['is dated by a clock that is far ahead', { renewedAtMs: t0 + clockSkewMsMax + 1 }],
    ['is a command of an operator', { role: 'command' }],
  ] as const)('a worker that %s counts as no chain', (_, change) => {
    expect(chainsOf([worker('a', change)], t0)).toEqual([])
  })
})

describe('handing out partitions in batch mode', () => {
  const limits = { workersMax: 3, shardPartitionsMax: 2 }
  const crew = (running: number, ownersApart = 0) => ({
    chains: Array.from({ length: running }, (_, each) => worker(`worker-${each}`)),
    ownersApart,
    partitions: 100,
    mode: 'batch' as const,
  })

  test('partitions go to new workers, never more than workersMax less those that run', () => {
    const started = [0, 1, 2, 3, 4].map(each => handOut(works(6), crew(each), limits))
    expect(started.map(each => each.shards.length)).toEqual([3, 2, 1, 0, 0])
    expect(started.map(each => each.deferred.length)).toEqual([0, 2, 4, 6, 6])
    expect(started.every(each => each.joining.length === 0)).toBe(true)
  })

  test('an owner without a row takes the place of a worker', () => {
    expect(handOut(works(6), crew(1, 1), limits).shards).toHaveLength(1)
  })

  test('no more workers are started than one write reserves', () => {
    const many = { workersMax: 1_000, shardPartitionsMax: 1 }
    const handed = handOut(works(300), crew(0), many)
    expect(handed.shards).toHaveLength(reservedWorkersMax)
    expect(handed.deferred).toHaveLength(300 - reservedWorkersMax)
  })
})

describe('handing out partitions in continuous mode', () => {
  const limits = { workersMax: 3, shardPartitionsMax: 4 }
  const crew = (chains: readonly Worker[], partitions: number, ownersApart = 0) => ({
    chains,
    ownersApart,
    partitions,
    mode: 'continuous' as const,
  })

  test('a flow without workers gets as many as all its partitions need', () => {
    const { shards, joining, deferred } = handOut(works(9), crew([], 9), limits)
    expect([shards.length, joining, deferred]).toEqual([3, [], []])
  })

  test('a partition that lost its lease joins the chain with the most room', () => {
    const chains = [worker('a', { partitions: 3 }), worker('b', { partitions: 2 })]
    expect(handOut([work(7)], crew(chains, 6), limits)).toEqual({
      joining: [{ worker: 'b', partitions: [work(7)] }],
      shards: [],
      onTheirWay: [],
      deferred: [],
    })
  })

  test('partitions are spread over the room that all chains have', () => {
    const chains = [
      worker('a', { partitions: 3 }),
      worker('b', { partitions: 1, assigned: assigned(90) }),
      worker('c', { partitions: 4 }),
    ]
    const { joining, deferred } = handOut(works(3), crew(chains, 12), limits)
    const numbers = joining.map(each => [each.worker, each.partitions.length])
    expect([numbers, deferred]).toEqual([
      [
        ['a', 1],
        ['b', 2],
      ],
      [],
    ])
  })

  test('a new worker is started for free partitions where fewer run than all partitions need', () => {
    const chains = [worker('a', { partitions: 3 })]
    const { shards, joining } = handOut(works(2), crew(chains, 5), limits)
    expect([shards.map(numbersOf), joining]).toEqual([[[0, 1]], []])
  })

  test('partitions that find no room in new workers join the chains', () => {
    const chains = [worker('a', { partitions: 2 }), worker('b', { partitions: 4 })]
    const handed = handOut(works(6), crew(chains, 12), limits)
    expect(handed.shards.map(each => each.length)).toEqual([4])
    expect(handed.joining).toEqual([{ worker: 'a', partitions: works(2, 4) }])
    expect(handed.deferred).toEqual([])
  })

  test('a partition that a live worker was given already is on its way, and is given to no other', () => {
    const chains = [worker('a', { partitions: 1, assigned: assigned(0) }), worker('b')]
    const handed = handOut([work(0), work(1)], crew(chains, 3), limits)
    expect(handed.onTheirWay).toEqual([work(0)])
    expect(handed.joining).toEqual([{ worker: 'b', partitions: [work(1)] }])
  })

  test('nothing joins a worker that has not begun: the partition waits for a tick', () => {
    const handed = handOut([work(0)], crew([worker('a', { run: null })], 2), limits)
    expect(handed).toMatchObject({ joining: [], shards: [], deferred: [work(0)] })
  })

  test('a worker is given no more partitions than it may have been given and not taken', () => {
    const wide = { workersMax: 1, shardPartitionsMax: 1_000 }
    const chains = [worker('a', { assigned: assigned(...works(90, 500).map(e => e.partition)) })]
    const { joining, deferred } = handOut(works(30), crew(chains, 200), wide)
    expect(joining[0]?.partitions).toHaveLength(assignedPartitionsMax - 90)
    expect(deferred).toHaveLength(30 - (assignedPartitionsMax - 90))
  })

  test('an owner of the version before takes the place of a worker, and nothing joins it', () => {
    const handed = handOut([work(0)], crew([], 4, 3), limits)
    expect(handed).toMatchObject({ joining: [], shards: [], deferred: [work(0)] })
    expect(handOut([work(0)], crew([], 4, 2), limits).shards).toHaveLength(1)
  })

  test('every free partition is in exactly one place, and no limit is passed', () => {
    const someCrew = fc.record({
      free: fc.uniqueArray(fc.nat(60), { maxLength: 40 }),
      chains: fc.array(fc.record({ held: fc.nat(6), hasBegun: fc.boolean(), given: fc.nat(60) }), {
        maxLength: 6,
      }),
      ownersApart: fc.nat(2),
      limits: fc.record({
        workersMax: fc.integer({ min: 1, max: 6 }),
        shardPartitionsMax: fc.integer({ min: 1, max: 8 }),
      }),
      mode: fc.constantFrom('batch' as const, 'continuous' as const),
    })
    fc.assert(
      fc.property(someCrew, ({ free, chains, ownersApart, limits: some, mode }) => {
        const all = free.map(each => work(each, each % 4))
        const running = chains.map(({ held, hasBegun, given }, index) =>
          worker(`worker-${index}`, {
            partitions: held,
            assigned: assigned(given),
            ...(hasBegun ? {} : { run: null }),
          }),
        )
        const partitions = all.length + chains.reduce((sum, each) => sum + each.held, 0)
        const handed = handOut(all, { chains: running, ownersApart, partitions, mode }, some)
        const placed = [
          ...[...handed.shards.flat(), ...handed.deferred, ...handed.onTheirWay],
          ...handed.joining.flatMap(each => each.partitions),
        ]
        const order = (one: number, other: number) => one - other
        expect(numbersOf(placed).sort(order)).toEqual([...free].sort(order))
        const startable = Math.max(0, some.workersMax - running.length - ownersApart)
        expect(handed.shards.length).toBeLessThanOrEqual(startable)
        for (const each of handed.joining) {
          const joined = running.find(({ worker: name }) => name === each.worker)
          const holds = (joined?.partitions ?? 0) + (joined?.assigned.length ?? 0)
          expect(joined?.run).not.toBeNull()
          expect(holds + each.partitions.length).toBeLessThanOrEqual(some.shardPartitionsMax)
        }
      }),
    )
  })

  test('a flow whose partitions lose their leases one by one keeps as many chains as packing would choose', () => {
    const all = works(10)
    const chains = packShards(all, limits).shards.map((shard, index) => {
      return { name: `worker-${index}`, held: new Set(numbersOf(shard)) }
    })
    const wanted = chains.length
    for (let tick = 0; tick < 100; tick += 1) {
      const lost = work(tick % all.length)
      for (const { held } of chains) held.delete(lost.partition)
      const running = chains.map(({ name, held }) => worker(name, { partitions: held.size }))
      const handed = handOut([lost], crew(running, all.length), limits)
      expect(handed.shards).toEqual([])
      for (const { worker: name, partitions } of handed.joining) {
        for (const { partition } of partitions) {
          chains.find(each => each.name === name)?.held.add(partition)
        }
      }
      expect(handed.deferred).toEqual([])
    }
    expect(chains).toHaveLength(wanted)
    expect(chains.reduce((sum, { held }) => sum + held.size, 0)).toBe(all.length)
  })
})
