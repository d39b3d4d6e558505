// The part of the stores' contract about incidents (store-contract.ts).

import { beforeEach, describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../lib/core/offset.ts'
import { unreachable } from '../../../lib/core/partition/incidents.ts'
import { incidentChange, incidentKey } from '../../../lib/core/row/incident-row.ts'
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

  describe('recording an incident under a lease', () => {
    const { acquire } = actionsOn(() => stores.checkpoints)
    const foundUnder = (fence: number) => ({ key: partitionKey(), fence })

    test('the holder of the lease records an incident', async () => {
      await acquire()
      expect(await stores.incidents.record(truncation(), foundUnder(1))).toBe('recorded')
      expect(await list()).toEqual([truncation()])
    })

    test('a previous owner records no incident, and the stored one stays', async () => {
      await acquire()
      await acquire({ owner: 'run-2', nowMs: t0 + leaseMs })
      await stores.incidents.record(truncation(), foundUnder(2))
      const smaller = truncation({ foundOffset: sourceOffset(121n), lostRecordsMax: 1n })
      expect(await stores.incidents.record(smaller, foundUnder(1))).toBe('overtaken')
      expect(await list()).toEqual([truncation()])
    })

    test('an incident is not recorded without the lease', async () => {
      expect(await stores.incidents.record(truncation(), foundUnder(1))).toBe('overtaken')
      expect(await list()).toEqual([])
    })
  })

  describe('recording an incident', () => {
    test('an incident is stored with every field as given', async () => {
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

    test('an incident that is detected repeatedly is stored once', async () => {
      await stores.incidents.record(truncation())
      await stores.incidents.record(truncation())
      expect(await list()).toEqual([truncation()])
    })

    test('an incident keeps its first time of detection and takes the latest evidence', async () => {
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

    test('an incident that is detected again drops fields that are no longer known', async () => {
      await stores.incidents.record(truncation())
      const vague = truncation({ foundOffset: null, lostRecordsMax: null })
      await stores.incidents.record(vague)
      expect(await list()).toEqual([vague])
    })

    test('an open incident is stored as ended when a policy moves past it', async () => {
      await stores.incidents.record(truncation())
      await stores.incidents.record(truncation({ resolution: 'continued' }))
      expect(await list()).toEqual([truncation({ resolution: 'continued' })])
    })

    test('an ended incident keeps its resolution when it is detected again with another one', async () => {
      await stores.incidents.record(truncation())
      await stores.incidents.resolve({ flow, id, resolution: 'resumed', nowMs: detectedAtMs + 1 })
      const again = truncation({ resolution: 'continued', foundOffset: sourceOffset(700n) })
      await stores.incidents.record(again)
      expect(await list()).toEqual([{ ...again, resolution: 'resumed' }])
    })

    test('an ended incident that is detected open is open again, and can end again', async () => {
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

  describe('resolving an incident', () => {
    const nowMs = detectedAtMs + 1_000

    test.each([['continued'], ['resumed'], ['recovered']] as const)(
      'as %s, with everything else as it was',
      async resolution => {
        await stores.incidents.record(truncation())
        await stores.incidents.resolve({ flow, id, resolution, nowMs })
        expect(await list()).toEqual([truncation({ resolution })])
      },
    )

    test('an incident is resolved with the offset where replication went on', async () => {
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

    test('an incident is resolved once: it keeps its first resolution and offset', async () => {
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

    test('an incident that was never stored cannot be resolved', async () => {
      await stores.incidents.resolve({ flow, id, resolution: 'resumed', nowMs })
      expect(await list()).toEqual([])
    })
  })

  describe('finding an incident', () => {
    test('an incident is found by its id while it is open and when it has ended, and no other one is', async () => {
      await stores.incidents.record(truncation())
      await stores.incidents.record(truncation({ id: 'other' }))
      expect(await stores.incidents.find({ flow, id })).toEqual({
        incidents: [truncation()],
        corrupt: [],
      })
      await stores.incidents.resolve({ flow, id, resolution: 'resumed', nowMs: detectedAtMs + 1 })
      expect((await stores.incidents.find({ flow, id })).incidents).toEqual([
        truncation({ resolution: 'resumed' }),
      ])
      expect((await stores.incidents.find({ flow, id: 'none' })).incidents).toEqual([])
    })
  })

  describe('an incident that an earlier version ended in place', () => {
    const endedInPlace = () => {
      const { set, setIfAbsent } = incidentChange(truncation({ resolution: 'recovered' }))
      return stores.putRow({ ...incidentKey({ flow, id }), ...setIfAbsent, ...set })
    }

    test('an incident that an earlier version ended in place is listed as ended, and not among the open ones', async () => {
      await endedInPlace()
      expect(await list('all')).toEqual([truncation({ resolution: 'recovered' })])
      expect(await listAll('open')).toEqual({ incidents: [], corrupt: [] })
    })

    test('an incident that an earlier version ended in place keeps its resolution when it is resolved or detected again', async () => {
      await endedInPlace()
      await stores.incidents.resolve({ flow, id, resolution: 'resumed', nowMs: detectedAtMs + 1 })
      expect(await list('all')).toEqual([truncation({ resolution: 'recovered' })])
      const again = truncation({ resolution: 'continued', detectedAtMs: detectedAtMs + 2 })
      await stores.incidents.record(again)
      expect(await list('all')).toEqual([truncation({ resolution: 'recovered' })])
    })

    test('an incident that an earlier version ended in place is open again when it is detected open', async () => {
      await endedInPlace()
      await stores.incidents.record(truncation({ detectedAtMs: detectedAtMs + 1 }))
      expect(await list('open')).toEqual([truncation()])
    })
  })

  describe('a list of incidents', () => {
    test('a list of incidents is ordered by time of detection, then by id', async () => {
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

    test('a list of open incidents leaves out ended ones', async () => {
      await stores.incidents.record(truncation({ id: 'open' }))
      await stores.incidents.record(truncation({ id: 'continued', resolution: 'continued' }))
      await stores.incidents.record(truncation({ id: 'resumed' }))
      const nowMs = detectedAtMs + 1
      await stores.incidents.resolve({ flow, id: 'resumed', resolution: 'resumed', nowMs })
      expect((await list('open')).map(each => each.id)).toEqual(['open'])
      expect((await list('all')).map(each => each.id)).toEqual(['continued', 'open', 'resumed'])
    })

    test('a list of incidents holds those of its flow only, and no checkpoints', async () => {
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

    test('a list of incidents names each corrupt row with its cause, and leaves out no other row', async () => {
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

    test('a list of open incidents includes a row without a resolution', async () => {
      await stores.incidents.record(truncation({ id: 'over', resolution: 'continued' }))
      const key = incidentKey({ flow, id: 'vague' })
      await stores.putRow({ ...key, kind: { S: 'topic-deleted' }, resolution: { S: 'perhaps' } })
      const { incidents, corrupt } = await listAll('open')
      expect(incidents).toEqual([])
      expect(corrupt).toMatchObject([{ id: 'vague' }])
    })
  })
}
