// The incidents' half of the stores' contract; see store-contract.ts.

import { beforeEach, describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../lib/core/offset.ts'
import { unreachable } from '../../../lib/core/partition/incidents.ts'
import { incidentKey } from '../../../lib/core/row/incident-row.ts'
import { actionsOn, leaseMs, t0 } from './lease-actions.ts'
import type { StoresUnderTest } from './store-contract.ts'
import { largestOffset, partitionKey, truncation } from './store-examples.ts'

const flow = 'primary-to-standby'
const { id, detectedAtMs } = truncation()

export function incidentContract(create: () => Promise<StoresUnderTest>): void {
  let stores: StoresUnderTest
  beforeEach(async () => {
    stores = await create()
  })
  const listAll = (which: 'open' | 'all' = 'all') => stores.incidents.list(flow, which)
  const list = async (which: 'open' | 'all' = 'all') => (await listAll(which)).incidents

  describe('an incident found under a lease is recorded', () => {
    const { acquire } = actionsOn(() => stores.checkpoints)
    const foundUnder = (fence: number) => ({ key: partitionKey(), fence })

    test('by its holder', async () => {
      await acquire()
      expect(await stores.incidents.record(truncation(), foundUnder(1))).toBe('recorded')
      expect(await list()).toEqual([truncation()])
    })

    test('not by whoever was overtaken: what is known stays as it is', async () => {
      await acquire()
      await acquire({ owner: 'run-2', nowMs: t0 + leaseMs })
      await stores.incidents.record(truncation(), foundUnder(2))
      const smaller = truncation({ foundOffset: sourceOffset(121n), lostRecordsMax: 1n })
      expect(await stores.incidents.record(smaller, foundUnder(1))).toBe('overtaken')
      expect(await list()).toEqual([truncation()])
    })

    test('not where there is no such lease', async () => {
      expect(await stores.incidents.record(truncation(), foundUnder(1))).toBe('overtaken')
      expect(await list()).toEqual([])
    })
  })

  describe('an incident is recorded', () => {
    test('exactly as it is', async () => {
      const incidents = [
        truncation(),
        truncation({
          id: 'target-drifted:commit-log:0:1',
          kind: 'target-drifted',
          expectedOffset: targetOffset(largestOffset - 1n),
          foundOffset: targetOffset(largestOffset),
          lostRecordsMax: 0n,
          resolution: 'continued',
          evidence: {},
        }),
        unreachable({
          flow,
          cluster: 'primary',
          topic: null,
          detail: 'connect ECONNREFUSED "127.0.0.1:9092"\n{}',
          detectedAtMs: detectedAtMs + 1,
        }),
      ]
      for (const incident of incidents) await stores.incidents.record(incident)
      expect(await list()).toEqual(incidents)
    })

    test('once, however often it is found', async () => {
      await stores.incidents.record(truncation())
      await stores.incidents.record(truncation())
      expect(await list()).toEqual([truncation()])
    })

    test('with what was found last and the time of the first detection', async () => {
      await stores.incidents.record(truncation())
      const later = truncation({
        detectedAtMs: detectedAtMs + 60_000,
        foundOffset: sourceOffset(700n),
        lostRecordsMax: 580n,
        evidence: { topicId: 'abc', logStartOffset: '700' },
      })
      await stores.incidents.record(later)
      expect(await list()).toEqual([{ ...later, detectedAtMs }])
    })

    test('without what is no longer known when it is found again', async () => {
      await stores.incidents.record(truncation())
      const vague = truncation({ foundOffset: null, lostRecordsMax: null })
      await stores.incidents.record(vague)
      expect(await list()).toEqual([vague])
    })

    test('as ended when a policy moves past what was open', async () => {
      await stores.incidents.record(truncation())
      await stores.incidents.record(truncation({ resolution: 'continued' }))
      expect(await list()).toEqual([truncation({ resolution: 'continued' })])
    })

    test('keeping how it ended when it is found again as ended otherwise', async () => {
      await stores.incidents.record(truncation())
      await stores.incidents.resolve({ flow, id, resolution: 'resumed', nowMs: detectedAtMs + 1 })
      const again = truncation({ resolution: 'continued', foundOffset: sourceOffset(700n) })
      await stores.incidents.record(again)
      expect(await list()).toEqual([{ ...again, resolution: 'resumed' }])
    })

    test('as open again when it is found open after it had ended, and can end again', async () => {
      await stores.incidents.record(truncation({ resolution: 'continued' }))
      await stores.incidents.record(truncation({ detectedAtMs: detectedAtMs + 1 }))
      expect(await list('open')).toEqual([truncation()])
      await stores.incidents.resolve({ flow, id, resolution: 'recovered', nowMs: detectedAtMs + 2 })
      expect(await list()).toEqual([truncation({ resolution: 'recovered' })])
    })

    test.each([
      ['log-truncated:a:b::c'],
      ['with/slash//and#hash'],
      ['Überraschung 🦊 漢字'],
      ['  spaces and "quotes" '],
      ['incident/incident/'],
    ])('under an id with any characters: %s', async oddId => {
      await stores.incidents.record(truncation({ id: oddId }))
      await stores.incidents.record(truncation({ id: `${oddId}2` }))
      const nowMs = detectedAtMs + 1
      await stores.incidents.resolve({ flow, id: oddId, resolution: 'resumed', nowMs })
      expect(await list()).toEqual([
        truncation({ id: oddId, resolution: 'resumed' }),
        truncation({ id: `${oddId}2` }),
      ])
    })
  })

  describe('an incident is resolved', () => {
    const nowMs = detectedAtMs + 1_000

    test.each([['continued'], ['resumed'], ['recovered']] as const)(
      'as %s, with everything else as it was',
      async resolution => {
        await stores.incidents.record(truncation())
        await stores.incidents.resolve({ flow, id, resolution, nowMs })
        expect(await list()).toEqual([truncation({ resolution })])
      },
    )

    test('at the offset where replication went on', async () => {
      await stores.incidents.record(truncation())
      await stores.incidents.resolve({
        flow,
        id,
        resolution: 'resumed',
        nowMs,
        foundOffset: sourceOffset(900n),
        lostRecordsMax: 780n,
      })
      expect(await list()).toEqual([
        truncation({
          resolution: 'resumed',
          foundOffset: sourceOffset(900n),
          lostRecordsMax: 780n,
        }),
      ])
    })

    test('once: it keeps how it ended and where', async () => {
      await stores.incidents.record(truncation())
      await stores.incidents.resolve({ flow, id, resolution: 'resumed', nowMs })
      await stores.incidents.resolve({
        flow,
        id,
        resolution: 'recovered',
        nowMs: nowMs + 1,
        foundOffset: sourceOffset(900n),
      })
      expect(await list()).toEqual([truncation({ resolution: 'resumed' })])
    })

    test('only where there is one', async () => {
      await stores.incidents.resolve({ flow, id, resolution: 'resumed', nowMs })
      expect(await list()).toEqual([])
    })
  })

  describe('a list of incidents', () => {
    test('is ordered by time of detection, then by id', async () => {
      const times: [string, number][] = [
        ['b', 2],
        ['a', 10],
        ['z', 1],
        ['c', 2],
        ['a-2', 2],
      ]
      for (const [name, atMs] of times) {
        await stores.incidents.record(truncation({ id: name, detectedAtMs: atMs }))
      }
      expect((await list()).map(each => each.id)).toEqual(['z', 'a-2', 'b', 'c', 'a'])
    })

    test('of the open ones leaves out what has ended', async () => {
      await stores.incidents.record(truncation({ id: 'open' }))
      await stores.incidents.record(truncation({ id: 'continued', resolution: 'continued' }))
      await stores.incidents.record(truncation({ id: 'resumed' }))
      const nowMs = detectedAtMs + 1
      await stores.incidents.resolve({ flow, id: 'resumed', resolution: 'resumed', nowMs })
      expect((await list('open')).map(each => each.id)).toEqual(['open'])
      expect((await list('all')).map(each => each.id)).toEqual(['continued', 'open', 'resumed'])
    })

    test('holds the incidents of its flow only, and no checkpoints', async () => {
      await stores.incidents.record(truncation({ flow: 'primary-to-standby-2' }))
      await stores.checkpoints.acquire({
        key: { flow, topic: 'commit-log', partition: 0 },
        targetTopic: 'primary.commit-log',
        owner: 'run-1',
        nowMs: 1,
        leaseMs: 1,
      })
      expect(await list()).toEqual([])
    })

    test('says of a corrupt row which one and why, and leaves out no other one', async () => {
      await stores.incidents.record(truncation())
      const key = incidentKey({ flow, id: 'odd' })
      await stores.putRow({ ...key, kind: { S: 'flooded' }, detectedAtMs: { N: '1' } })
      await stores.putRow({ ...incidentKey({ flow, id: 'empty' }) })
      for (const which of ['all', 'open'] as const) {
        const { incidents, corrupt } = await listAll(which)
        expect(incidents).toEqual([truncation()])
        expect(corrupt).toEqual([
          { id: 'empty', detail: expect.stringMatching(/incident\/empty.*kind/) },
          { id: 'odd', detail: expect.stringMatching(/incident\/odd.*kind.*flooded/) },
        ])
      }
    })

    test('of the open ones has the row that does not say how it ended', async () => {
      await stores.incidents.record(truncation({ id: 'over', resolution: 'continued' }))
      const key = incidentKey({ flow, id: 'vague' })
      await stores.putRow({ ...key, kind: { S: 'topic-deleted' }, resolution: { S: 'perhaps' } })
      const { incidents, corrupt } = await listAll('open')
      expect(incidents).toEqual([])
      expect(corrupt).toMatchObject([{ id: 'vague' }])
    })
  })
}
