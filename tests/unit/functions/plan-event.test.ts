// What `plan` takes an event for: each shape in which AWS, serverless-offline, a person or a worker
// invokes it.

import { describe, expect, test } from 'vitest'
import { readPlanEvent } from '../../../functions/plan-event.ts'
import {
  failureRecord,
  requestId,
  workerEvent,
  workerFailures,
} from '../../support/failure-records.ts'

const read = (event: unknown) => readPlanEvent(event, 'gapless-prod-replicate')

test.each([
  ['an event of its schedule', scheduledEvent('aws.events')],
  ['an event of the schedule of serverless-offline', scheduledEvent('serverless-offline')],
  ['an invocation by hand', {}],
  ['an invocation without a payload', null],
])('%s is a tick of plan', (_what, event) => {
  expect(read(event)).toEqual({ kind: 'tick' })
})

describe('a record of a worker that failed', () => {
  test.each(Object.entries(workerFailures))(
    'names flow, worker and cause: %s',
    (_what, failure) => {
      expect(read(failure.record)).toEqual({
        kind: 'notice',
        flow: workerEvent.flow,
        notice: {
          kind: 'worker-failed',
          requestId,
          worker: workerEvent.worker,
          detail: failure.detail,
        },
      })
    },
  )

  test('names no flow where Lambda left out a payload that is too large', () => {
    const { requestPayload: _left, responsePayload: _out, ...small } = failureRecord(null)
    expect(read(small)).toMatchObject({
      kind: 'notice',
      flow: null,
      notice: { requestId, worker: null, detail: 'RetriesExhausted' },
    })
  })

  test('names no worker where a person or an older plan invoked the function', () => {
    const { worker: _none, ...requestPayload } = workerEvent
    expect(read(failureRecord(null, { requestPayload }))).toMatchObject({
      flow: 'orders',
      notice: { requestId, worker: null },
    })
  })

  test('quotes no more of an error than a person reads', () => {
    const event = read(failureRecord({ errorMessage: 'x'.repeat(10_000) }))
    if (event.kind !== 'notice' || event.notice.kind !== 'worker-failed')
      throw new Error('no notice')
    expect(event.notice.detail.length).toBeLessThan(400)
  })
})

test.each(['gapless-prod-plan', 'gapless-prod-watch', 'gapless-other-replicate'])(
  'a record of %s asks plan for nothing, and the reason names it',
  functionName => {
    const event = read(failureRecord(null, { functionName }))
    expect(event).toEqual({ kind: 'ignored', why: expect.stringContaining(functionName) })
  },
)

test('a record of an invocation that succeeded asks plan for nothing', () => {
  const event = read(failureRecord(null, { condition: 'Success' }))
  expect(event).toEqual({ kind: 'ignored', why: expect.stringContaining('succeeded') })
})

test("a worker's word about a peer names flow and worker", () => {
  const event = { kind: 'worker-ended', flow: 'orders', worker: 'w-1' }
  expect(read(event)).toEqual({
    kind: 'notice',
    flow: 'orders',
    notice: { kind: 'worker-ended', worker: 'w-1' },
  })
})

describe('an event that plan does not know', () => {
  test.each([
    ['a shard of replicate', workerEvent, '"flow":"orders"'],
    ['a text', 'tick', '"tick"'],
    ['a number', 7, '7'],
    ['a list', [1], '[1]'],
    ['another kind', { kind: 'worker-began', flow: 'x', worker: 'y' }, 'kind:'],
    ['a word without a worker', { kind: 'worker-ended', flow: 'x' }, 'worker:'],
    ['a record without a request id', { requestContext: {} }, 'requestContext.requestId:'],
  ])('is one error that quotes it and says what is wrong: %s', (_what, event, quoted) => {
    const failing = () => read(event)
    expect(failing).toThrow(/^plan does not know this event: /)
    expect(failing).toThrow(quoted)
    expect(failing).not.toThrow(/\n/)
  })
})

function scheduledEvent(source: string) {
  return {
    version: '0',
    id: '53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa',
    'detail-type': 'Scheduled Event',
    source,
    account: '123456789012',
    time: '2026-11-30T10:15:00Z',
    region: 'eu-central-1',
    resources: ['arn:aws:events:eu-central-1:123456789012:rule/gapless-prod-tick'],
    detail: {},
  }
}
