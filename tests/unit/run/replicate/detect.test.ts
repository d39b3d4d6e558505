// Truncations, resets, deletions and divergences of the source, between two runs and during one:
// each is detected with its exact offsets, and nothing that is normal for a log is an incident.

import { describe, expect, test } from 'vitest'
import type { IncidentKind } from '../../../../lib/core/incident.ts'
import { type ResumeFrom, resumePartition } from '../../../../lib/run/operate/resume.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import {
  batchOf,
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'
import { LOG_APPEND_TIME, TRANSACTIONAL } from '../../kafka/batches.ts'
import { recordBytes, testRecords } from '../../kafka/record-bytes.ts'

async function copiedWorld(flow: Record<string, unknown> = {}, batches = 4): Promise<World> {
  const world = createWorld({ flow })
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), batches)
  await world.run('orders')
  return world
}

/** Changes the source during a run, when its first batches have been fetched. */
function whileCopying(world: World, happens: () => void): void {
  let fetches = 0
  world.source.control('fetch', async (serve, leaderId, request) => {
    fetches += 1
    if (fetches === 2) happens()
    return serve(leaderId, request)
  })
}

const kinds = async (world: World): Promise<IncidentKind[]> =>
  (await world.storedIncidents()).map(each => each.kind)

describe('a truncated log', () => {
  test('a truncation between two runs halts the partition, and its incident has exactly the lost range', async () => {
    const world = await copiedWorld()
    writeBatches(world.sourceLog('orders'), 10)
    world.sourceLog('orders').deleteBefore(9n)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 0n }])
    expect(await world.storedIncidents()).toMatchObject([
      {
        kind: 'log-truncated',
        resolution: 'open',
        expectedOffset: 4n,
        foundOffset: 9n,
        lostRecordsMax: 5n,
      },
    ])
    expect(world.lines[0]?.text).toMatch(
      /^CRITICAL: Log truncation detected for orders-0\. Expected offset 4, but got 9\. Gap of 5 messages detected, /,
    )
    expect(await world.checkpoint('orders')).toMatchObject({ state: { kind: 'halted' } })
    // The partition stays halted: the next run adds no incident.
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'halted' }])
    expect(await kinds(world)).toEqual(['log-truncated'])
  })

  test('a truncation during a run halts the partition behind the last copied record', async () => {
    const flow = { budgets: { partitionFetchBytesMax: 1_024 } }
    const world = createWorld({ flow })
    world.createTopic('orders')
    for (let each = 0; each < 10; each += 1) {
      world.sourceLog('orders').write(batchOf(1, { payload: Buffer.alloc(900, each) }))
    }
    whileCopying(world, () => world.sourceLog('orders').deleteBefore(8n))

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
    const copied = world.targetLog('orders').logEnd
    expect(await world.storedIncidents()).toMatchObject([
      {
        kind: 'log-truncated',
        expectedOffset: copied,
        foundOffset: 8n,
        lostRecordsMax: 8n - copied,
      },
    ])
  })

  test('a truncation with the policy continue goes on at the log start, with the lost range in its incident', async () => {
    const world = await copiedWorld({ onTruncation: 'continue' })
    const written = writeBatches(world.sourceLog('orders'), 10)
    world.sourceLog('orders').deleteBefore(9n)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 5n }])
    expect(payloads(world.targetLog('orders')).slice(4)).toEqual(written.slice(5))
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'log-truncated', resolution: 'continued', lostRecordsMax: 5n },
    ])
  })

  test('a truncation counts only after a fetch by topic id is refused: the topic may have been recreated', async () => {
    const world = await copiedWorld({ onReset: 'resume' })
    writeBatches(world.sourceLog('orders'), 2)
    let looks = 0
    world.source.control('listOffsets', async (serve, leaderId, point, partitions) => {
      looks += 1
      // The topic is recreated after Metadata, which had the old id, and before ListOffsets, which
      // goes by name.
      if (looks === 1) {
        world.source.deleteTopic('orders')
        world.source.createTopic('orders')
        writeBatches(world.sourceLog('orders'), 40)
        world.sourceLog('orders').deleteBefore(30n)
      }
      return serve(leaderId, point, partitions)
    })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 10n }])
    expect(await kinds(world)).toEqual(['topic-reset'])
  })
})

describe('a recreated topic', () => {
  const lives: Record<string, (world: World) => void> = {
    'with fewer records than were copied': world => writeBatches(world.sourceLog('orders'), 2),
    'with exactly as many': world => writeBatches(world.sourceLog('orders'), 4),
    'that has outgrown the position': world => writeBatches(world.sourceLog('orders'), 9),
    'whose log start is above 0': world => {
      writeBatches(world.sourceLog('orders'), 9)
      world.sourceLog('orders').deleteBefore(3n)
    },
    'whose log start is the position': world => {
      writeBatches(world.sourceLog('orders'), 9)
      world.sourceLog('orders').deleteBefore(4n)
    },
    'without a record': () => undefined,
  }
  for (const [what, live] of Object.entries(lives)) {
    test(`a recreated topic ${what} is copied completely behind the old records, and is a reset`, async () => {
      const world = await copiedWorld()
      const before = payloads(world.targetLog('orders'))
      world.source.deleteTopic('orders')
      world.source.createTopic('orders')
      live(world)

      const report = await world.run('orders')

      expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
      const expected = [...before, ...payloads(world.sourceLog('orders'))]
      expect(payloads(world.targetLog('orders'))).toEqual(expected)
      const start = world.sourceLog('orders').logStart
      expect(await world.storedIncidents()).toMatchObject([
        { kind: 'topic-reset', resolution: 'continued', expectedOffset: 4n, foundOffset: start },
      ])
      const recovered = expect.stringMatching(
        /^Successfully recovered from topic reset for orders-0\. /,
      )
      // Where the new log begins at the end of the standby, its records keep their offsets.
      const shifted = start === 4n ? [] : [expect.stringMatching(/^Offsets of orders-0 .* shifted/)]
      expect(world.lines.map(line => line.text)).toMatchObject([
        expect.stringMatching(/^Topic reset detected for orders-0\. /),
        expect.stringMatching(/^Handling topic reset for orders-0\. Seeking to beginning offset /),
        ...(live === lives['without a record'] ? [...shifted, recovered] : [recovered, ...shifted]),
      ])
    })
  }

  test('a topic that is recreated during a run is a reset', async () => {
    const flow = { budgets: { partitionFetchBytesMax: 1_024 } }
    const world = createWorld({ flow })
    world.createTopic('orders')
    for (let each = 0; each < 10; each += 1) {
      world.sourceLog('orders').write(batchOf(1, { payload: Buffer.alloc(900, each) }))
    }
    whileCopying(world, () => {
      world.source.deleteTopic('orders')
      world.source.createTopic('orders')
      writeBatches(world.sourceLog('orders'), 20)
    })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(await kinds(world)).toEqual(['topic-reset'])
    expect(payloads(world.targetLog('orders')).slice(-20)).toEqual(
      payloads(world.sourceLog('orders')),
    )
  })

  test('a topic that is recreated twice is two incidents', async () => {
    const world = await copiedWorld()
    for (const batches of [3, 5]) {
      world.source.deleteTopic('orders')
      world.source.createTopic('orders')
      writeBatches(world.sourceLog('orders'), batches)
      await world.run('orders')
    }
    expect(await kinds(world)).toEqual(['topic-reset', 'topic-reset'])
    expect(world.targetLog('orders').logEnd).toBe(12n)
  })
})

describe('a deleted topic', () => {
  test('a deleted topic makes its partition wait, and the standby keeps its records', async () => {
    const world = await copiedWorld()
    world.source.deleteTopic('orders')

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'waiting' }])
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'topic-deleted', resolution: 'open' },
    ])
    expect(world.targetLog('orders').logEnd).toBe(4n)
  })

  test('a deleted topic that returns is copied from its start, and its incident ends as recovered', async () => {
    const world = await copiedWorld()
    world.source.deleteTopic('orders')
    await world.run('orders')
    world.source.createTopic('orders')
    const written = writeBatches(world.sourceLog('orders'), 3)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders')).slice(4)).toEqual(written)
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'topic-deleted', resolution: 'recovered' },
      { kind: 'topic-reset', resolution: 'continued' },
    ])
  })

  test('a topic recreated with fewer partitions and widened later stays one open incident where a reset halts', async () => {
    const world = createWorld({ flow: { onReset: 'halt' } })
    world.createTopic('orders', 2)
    writeBatches(world.sourceLog('orders', 1), 3)
    await world.run('orders', { partitions: [1] })
    world.source.deleteTopic('orders')
    world.source.createTopic('orders', 1)
    expect((await world.run('orders', { partitions: [1] })).partitions).toMatchObject([
      { outcome: 'waiting' },
    ])
    // The double cannot add partitions to a topic, so the test recreates it with both of them.
    world.source.deleteTopic('orders')
    world.source.createTopic('orders', 2)

    const report = await world.run('orders', { partitions: [1] })

    expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
    const [incident, ...others] = await world.storedIncidents()
    expect(others).toEqual([])
    expect(incident).toMatchObject({ kind: 'topic-reset', resolution: 'open' })
    expect((await world.checkpoint('orders', 1))?.state).toMatchObject({ incidentId: incident?.id })
  })

  test('a missing topic that was never copied is absent, and no incident', async () => {
    const world = createWorld()
    world.target.createTopic('primary.orders')
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'absent' }])
    expect(await kinds(world)).toEqual([])
  })
})

describe('a log that diverged', () => {
  test('a divergence is detected by the last leader epoch, also when the log has outgrown the position', async () => {
    const world = await copiedWorld()
    world.sourceLog('orders').elect(2n)
    writeBatches(world.sourceLog('orders'), 9)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 0n }])
    expect(await world.storedIncidents()).toMatchObject([
      {
        kind: 'log-diverged',
        resolution: 'open',
        expectedOffset: 4n,
        foundOffset: 2n,
        evidence: { recordsOnlyOnTargetMax: '2' },
      },
    ])
  })

  test('a divergence without leader epochs is detected when the log ends before the position', async () => {
    const world = await copiedWorld()
    world.sourceLog('orders').elect(2n)
    world.sourceLog('orders').forgetEpochs()

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
    expect(await kinds(world)).toEqual(['log-diverged'])
  })

  test('a divergence older than every known epoch halts under any policy and is resumed only from a given offset', async () => {
    const world = await copiedWorld({ onDivergence: 'continue' })
    world.sourceLog('orders').elect(2n)
    world.sourceLog('orders').forgetEpochs()

    const report = await world.run('orders')
    const resume = (from: ResumeFrom) =>
      resumePartition(
        { ...world, owner: 'operator' },
        { flow: world.flow, at: { topic: 'orders', partition: 0 }, from },
      )

    expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
    expect(await world.storedIncidents()).toMatchObject([
      { foundOffset: null, lostRecordsMax: null, evidence: { divergesAtOrBefore: '2' } },
    ])
    await expect(resume(null)).rejects.toThrow(/2 or earlier/)
    expect(await resume(1n)).toMatchObject({ position: { nextSourceOffset: 1n, epochs: [] } })
  })

  test('a divergence with the policy continue is copied from the divergence point on', async () => {
    const world = await copiedWorld({ onDivergence: 'continue' })
    world.sourceLog('orders').elect(2n)
    const written = writeBatches(world.sourceLog('orders'), 9)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 9n }])
    expect(payloads(world.targetLog('orders')).slice(4)).toEqual(written)
  })
})

describe('what is normal for a log', () => {
  const healthy: Record<string, (world: World) => void> = {
    'holes that compaction left between batches': world => {
      const log = world.sourceLog('orders')
      log.leaveHole(7n)
      writeBatches(log, 2)
      log.leaveHole(100n)
      writeBatches(log, 1)
    },
    'batches that compaction emptied': world => {
      world.sourceLog('orders').write({ recordsCount: 0, lastOffsetDelta: 9 })
      writeBatches(world.sourceLog('orders'), 1)
    },
    'transactions, committed and aborted, and their markers': world => {
      const log = world.sourceLog('orders')
      for (const [producerId, how] of [
        [1n, 'commit'],
        [2n, 'abort'],
        [3n, 'commit'],
      ] as const) {
        log.write(batchOf(2, { attributes: TRANSACTIONAL, producerId }))
        log.endTransaction(producerId, how)
      }
    },
    'a marker at the very end': world => {
      const log = world.sourceLog('orders')
      log.write(batchOf(2, { attributes: TRANSACTIONAL, producerId: 1n }))
      log.endTransaction(1n, 'abort')
    },
    'a transaction that is still open': world => {
      world.sourceLog('orders').write(batchOf(2, { attributes: TRANSACTIONAL, producerId: 1n }))
    },
    'an aborted transaction alone under a new leader': world => {
      // The position passes the end of the last copied batch's epoch, and no record is copied.
      const log = world.sourceLog('orders')
      log.elect()
      log.write(batchOf(2, { attributes: TRANSACTIONAL, producerId: 1n }))
      log.endTransaction(1n, 'abort')
    },
    'a change of leader': world => {
      world.source.moveLeader('orders', 0, 1)
      writeBatches(world.sourceLog('orders'), 2)
    },
    'retention that has taken only what was copied': world => {
      world.sourceLog('orders').deleteBefore(4n)
      writeBatches(world.sourceLog('orders'), 2)
    },
    'a log emptied up to the position, which forgot its epochs': world => {
      world.sourceLog('orders').deleteBefore(4n)
      world.sourceLog('orders').forgetEpochs()
      writeBatches(world.sourceLog('orders'), 2)
    },
  }
  for (const [what, happens] of Object.entries(healthy)) {
    test(`no incident comes from ${what}`, async () => {
      const world = await copiedWorld()
      happens(world)

      const report = await world.run('orders')

      expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
      expect(await kinds(world)).toEqual([])
      expect(world.lines).toEqual([])
      const open = world.sourceLog('orders').lastStable()
      expect((await world.checkpoint('orders'))?.state).toMatchObject({
        position: { nextSourceOffset: open },
      })
      // The checkpoint of that run raises none in the next one either.
      writeBatches(world.sourceLog('orders'), 1)
      expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
      expect(await kinds(world)).toEqual([])
    })
  }

  test('no incident comes from a log whose last offsets hold no batch', async () => {
    const world = await copiedWorld()
    world.sourceLog('orders').leaveHole(3n)
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
    expect(await kinds(world)).toEqual([])
  })

  test('no incident comes from a leader that moves during a run', async () => {
    const world = createWorld({ sourceBrokers: 2, targetBrokers: 2 })
    world.createTopic('orders')
    const written = writeBatches(world.sourceLog('orders'), 3)
    whileCopying(world, () => {
      world.source.moveLeader('orders', 0, 2)
      world.target.moveLeader('primary.orders', 0, 2)
      written.push(...writeBatches(world.sourceLog('orders'), 3))
    })

    await world.run('orders', { isContinuous: true, deadlineMs: world.clock.nowMs() + 5_000 })

    expect(payloads(world.targetLog('orders'))).toEqual(written)
    expect(await kinds(world)).toEqual([])
  })
})

describe('a batch that must be repacked', () => {
  const payload = Buffer.concat(
    testRecords(0n, 5, [1n, 2n]).map(each => recordBytes(each, { offset: 0n, timestamp: 0n })),
  )
  const batches = {
    'with holes inside': { recordsCount: 3, lastOffsetDelta: 4, payload },
    'with LogAppendTime': {
      recordsCount: 3,
      lastOffsetDelta: 4,
      payload,
      attributes: LOG_APPEND_TIME,
    },
  }
  for (const [what, fields] of Object.entries(batches)) {
    test(`a batch ${what} is copied with the batches around it, and nothing halts`, async () => {
      const world = await copiedWorld()
      const before = writeBatches(world.sourceLog('orders'), 3)
      world.sourceLog('orders').write(fields)
      const behind = writeBatches(world.sourceLog('orders'), 3)

      const report = await world.run('orders')
      const again = await world.run('orders')

      expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 9n }])
      expect(again.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 0n }])
      const arrived = payloads(world.targetLog('orders')).slice(4)
      // The batch between them may be several, with markers in the places of its holes.
      expect([arrived.slice(0, 3), arrived.slice(-3)]).toEqual([before, behind])
      expect(await kinds(world)).toEqual([])
    })

    test(`a damaged batch ${what} halts its partition, with every earlier record copied`, async () => {
      const world = await copiedWorld()
      const written = writeBatches(world.sourceLog('orders'), 3)
      world.sourceLog('orders').write({ ...fields, payload: payload.subarray(1) })
      writeBatches(world.sourceLog('orders'), 3)

      const report = await world.run('orders')

      expect(report.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 3n }])
      expect(payloads(world.targetLog('orders')).slice(4)).toEqual(written)
      expect(await world.storedIncidents()).toMatchObject([
        { kind: 'unsupported-batch', expectedOffset: 7n, foundOffset: 7n, lostRecordsMax: 0n },
      ])
    })
  }
})

describe('a source that cannot be observed', () => {
  test('an unreachable source is unobserved, moves no position, and is copied again when it answers', async () => {
    const world = await copiedWorld()
    const before = await world.checkpoint('orders')
    writeBatches(world.sourceLog('orders'), 2)
    world.source.control('describeTopics', () => Promise.reject(connectionLost('primary')))

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'unobserved', recordsReplicated: 0n }])
    expect(report.observationFailures).toMatchObject([
      { cluster: 'primary', reason: 'unreachable' },
    ])
    expect((await world.checkpoint('orders'))?.state).toEqual(before?.state)
    world.source.control('describeTopics', null)
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
  })

  test('a source that fails three fetches is copied to its end by the same run', async () => {
    const world = await copiedWorld()
    writeBatches(world.sourceLog('orders'), 2)
    let failures = 3
    world.source.control('fetch', async (serve, leaderId, request) => {
      failures -= 1
      if (failures >= 0) throw connectionLost('primary')
      return serve(leaderId, request)
    })
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
  })

  test('a target that assigns no producer id is reported as unobserved, and receives no record', async () => {
    const world = createWorld()
    world.createTopic('orders')
    writeBatches(world.sourceLog('orders'), 2)
    world.target.control('initProducerId', () => Promise.reject(connectionLost('standby')))
    const report = await world.run('orders')
    expect(report.partitions).toMatchObject([{ outcome: 'unobserved' }])
    expect(report.observationFailures).toMatchObject([{ cluster: 'standby' }])
    expect(payloads(world.targetLog('orders'))).toEqual([])
  })
})

describe('the target', () => {
  test('a partition whose target topic was recreated halts, also when its log ends at the same offset', async () => {
    const world = await copiedWorld()
    world.target.deleteTopic('primary.orders')
    world.target.createTopic('primary.orders')
    writeBatches(world.targetLog('orders'), 4)
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'halted' }])
    expect(await kinds(world)).toEqual(['target-reset'])
  })

  test('a target topic that is recreated during a run halts the partition, and receives no record', async () => {
    const world = await copiedWorld()
    writeBatches(world.sourceLog('orders'), 3)
    let produces = 0
    world.target.control('produce', async (serve, leaderId, request) => {
      produces += 1
      if (produces === 1) {
        world.target.deleteTopic('primary.orders')
        const answer = await serve(leaderId, request)
        world.target.createTopic('primary.orders')
        return answer
      }
      return serve(leaderId, request)
    })
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'halted' }])
    expect(await kinds(world)).toEqual(['target-reset'])
    expect(world.targetLog('orders').logEnd).toBe(0n)
  })

  test('a target topic that does not exist fails the partition', async () => {
    const world = createWorld()
    world.source.createTopic('orders')
    const report = await world.run('orders')
    expect(report.partitions).toMatchObject([
      { outcome: 'failed', detail: expect.stringContaining('primary.orders has no partition 0') },
    ])
  })
})
