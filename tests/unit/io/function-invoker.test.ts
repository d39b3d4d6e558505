// Invoking workers over a real HTTP connection to a server that plays Lambda's Invoke API.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createFunctionInvoker } from '../../../lib/io/function-invoker.ts'

/** What the server does with each request, in order; the last entry repeats. */
let answers: ('accept' | 'hang-up' | 'throttle' | 'refuse' | 'no-answer')[] = []
let asked = 0

const server = createServer((request, response) => {
  const how = answers[Math.min(asked, answers.length - 1)]
  asked += 1
  request.resume()
  request.once('end', () => {
    if (how === 'no-answer') return
    if (how === 'hang-up') return void request.socket.destroy()
    const status = { accept: 202, throttle: 429, refuse: 400 }[how ?? 'accept']
    const error = { throttle: 'TooManyRequestsException', refuse: 'InvalidRequestContentException' }
    if (how === 'throttle' || how === 'refuse') response.setHeader('x-amzn-errortype', error[how])
    response.writeHead(status, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify({}))
  })
})

beforeEach(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  vi.stubEnv('AWS_REGION', 'us-east-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
  asked = 0
})
afterEach(async () => {
  vi.unstubAllEnvs()
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
})

for (const invocationType of ['Event', 'RequestResponse'] as const) {
  test(`a connection that the server closed since the last ${invocationType} invocation costs no invocation`, async () => {
    const invoke = createFunctionInvoker({ functionName: 'worker', invocationType })
    answers = ['accept', 'hang-up', 'accept']
    const done = { kind: invocationType === 'Event' ? 'started' : 'succeeded' }

    expect(await invoke({ flow: 'orders' })).toEqual(done)
    expect(await invoke({ flow: 'orders' })).toEqual(done)
    expect(asked).toBe(3)
  })
}

test('an invocation that Lambda throttles for a moment is repeated', async () => {
  const invoke = createFunctionInvoker({ functionName: 'worker', invocationType: 'Event' })
  answers = ['throttle', 'accept']

  expect(await invoke({})).toEqual({ kind: 'started' })
})

test('an invocation that Lambda refuses fails at once and names the function', async () => {
  const invoke = createFunctionInvoker({ functionName: 'worker', invocationType: 'Event' })
  answers = ['refuse']

  expect(await invoke({})).toEqual({
    kind: 'failed',
    detail: expect.stringMatching(/^cannot invoke worker: /),
  })
  expect(asked).toBe(1)
})

test('an invocation whose connection always breaks fails after a few attempts', async () => {
  const invoke = createFunctionInvoker({ functionName: 'worker', invocationType: 'Event' })
  answers = ['hang-up']

  expect(await invoke({})).toMatchObject({ kind: 'failed' })
  expect(asked).toBe(3)
})

test('an endpoint that takes connections and never answers fails an invocation after a few attempts', async () => {
  const invoke = createFunctionInvoker({ functionName: 'worker', invocationType: 'Event' })
  answers = ['no-answer']

  expect(await invoke({})).toEqual({
    kind: 'failed',
    detail: expect.stringMatching(/^cannot invoke worker: /),
  })
  expect(asked).toBe(3)
}, 60_000)
