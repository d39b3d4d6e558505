import { describe, expect, test } from 'vitest'
import { clockSkewMsMax } from '../../../../lib/core/config/defaults.ts'
import { isWorkerLive } from '../../../../lib/core/replicate/budget.ts'
import { checkpointKey, readCheckpoints } from '../../../../lib/core/row/checkpoint.ts'
import { CorruptRowError, type Row } from '../../../../lib/core/row/row.ts'
import {
  assignedText,
  begunAttributes,
  isWorkerRow,
  readWorker,
  readWorkers,
  reservedAttributes,
  rosterKey,
  workerKey,
} from '../../../../lib/core/row/worker-row.ts'
import { partitionKey } from '../../../support/contracts/store-examples.ts'

const key = { flow: 'primary-to-standby', worker: 'worker-1' }
const t0 = 1_700_000_000_000
const reserved: Row = {
  ...workerKey(key),
  ...reservedAttributes({ nowMs: t0, untilMs: t0 + 30_000 }),
}
const begun: Row = {
  ...workerKey(key),
  ...begunAttributes({
    run: 'run-1',
    role: 'command',
    invocation: 'request-1',
    nowMs: t0,
    untilMs: t0 + 6_000,
  }),
}

describe('the row of a worker', () => {
  test('a reserved row has a time and no run', () => {
    expect(readWorker(reserved)).toEqual({
      ...key,
      role: 'worker',
      run: null,
      invocation: null,
      beganAtMs: t0,
      renewedAtMs: t0,
      aliveUntilMs: t0 + 30_000,
      partitions: 0,
      assigned: [],
      successor: null,
      endedAtMs: null,
    })
  })

  test('a row that a run claimed names the run, its role and its invocation', () => {
    expect(readWorker(begun)).toMatchObject({
      role: 'command',
      run: 'run-1',
      invocation: 'request-1',
      aliveUntilMs: t0 + 6_000,
    })
  })

  test('assigned partitions are read as they were written, those of a new topic too', () => {
    const partitions = [
      { topic: 'a.b-c_d', partition: 0, topicIsKnown: true },
      { topic: 'orders', partition: 2 ** 31 - 1, topicIsKnown: false },
    ]
    const assigned = { SS: partitions.map(assignedText) }
    expect(readWorker({ ...begun, assigned }).assigned).toEqual(partitions)
  })

  test.each([
    ['role', { role: { S: 'leader' } }],
    ['aliveUntilMs', { aliveUntilMs: { S: 'tomorrow' } }],
    ['assigned', { assigned: { SS: ['orders'] } }],
    ['assigned', { assigned: { S: 'orders/0' } }],
    ['endedAtMs', { endedAtMs: { S: 'now' } }],
  ] as const)(
    'a row whose %s gapless does not write is corrupt, and the error names it: %#',
    (name, change) => {
      expect(() => readWorker({ ...begun, ...change })).toThrow(CorruptRowError)
      expect(() => readWorker({ ...begun, ...change })).toThrow(
        new RegExp(`primary-to-standby.*checkpoint-worker/worker-1.*${name}`),
      )
    },
  )

  test('a worker row that cannot be read hides no other, and neither does a roster', () => {
    const broken = { ...workerKey({ ...key, worker: 'worker-2' }), role: { S: 'worker' } }
    const roster = { ...rosterKey(key.flow), version: { N: '7' } }
    expect(readWorkers([begun, broken, roster])).toMatchObject({
      workers: [{ worker: 'worker-1' }],
      roster: 7,
      corruptWorkers: [{ worker: 'worker-2', detail: expect.stringContaining('beganAtMs') }],
    })
    const unread = readWorkers([{ ...roster, version: { S: '7' } }])
    expect(unread).toMatchObject({ workers: [], roster: 0, corruptWorkers: [] })
  })

  test('no row of a checkpoint is taken for that of a worker, and no worker for a partition', () => {
    expect(isWorkerRow(checkpointKey(partitionKey()))).toBe(false)
    const topic = 'checkpoint-worker'
    expect(isWorkerRow(checkpointKey(partitionKey({ topic })))).toBe(false)
    const listed = readCheckpoints([begun, { ...rosterKey(key.flow), version: { N: '7' } }])
    expect(listed).toMatchObject({ checkpoints: [], corrupt: [], unnamed: [], roster: 7 })
  })
})

describe('a worker is live', () => {
  const worker = { renewedAtMs: t0, aliveUntilMs: t0 + 6_000, endedAtMs: null }

  test('a worker lives until its lease ends, to the millisecond', () => {
    expect(isWorkerLive(worker, t0 + 5_999)).toBe(true)
    expect(isWorkerLive(worker, t0 + 6_000)).toBe(false)
  })

  test('a worker that was declared ended is not live, however long its lease lasts', () => {
    expect(isWorkerLive({ ...worker, endedAtMs: t0 }, t0)).toBe(false)
  })

  test('a lease that a clock dated further ahead than clocks may be is not believed', () => {
    expect(isWorkerLive(worker, t0 - clockSkewMsMax)).toBe(true)
    expect(isWorkerLive(worker, t0 - clockSkewMsMax - 1)).toBe(false)
  })
})
