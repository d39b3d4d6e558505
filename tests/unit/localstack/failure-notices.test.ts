// The stand-in that tells `plan` of failed workers on the local stage, in front of a server that
// answers as the Invoke API of serverless-offline does.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { readPlanEvent } from '../../../functions/plan-event.ts'
import { createFunctionInvoker } from '../../../lib/io/function-invoker.ts'
import { startFailureNotices } from '../../../localstack/lambda/failure-notices.ts'
import { failureRecord, workerEvent } from '../../support/failure-records.ts'

const replicate = 'gapless-local-replicate'
const plan = 'gapless-local-plan'

type Invoked = { readonly name: string; readonly event: unknown }
type Serve = (invoked: Invoked, response: ServerResponse) => void

test('a worker whose invocation fails is told to plan, in the shape of a record of Lambda', async () => {
  const { invoke, invoked } = await startStage((_invoked, response) => fail(response))

  const outcome = await invoke(replicate, workerEvent)

  expect(outcome).toMatchObject({ kind: 'failed', detail: expect.stringContaining('timeout') })
  const record = await invoked(plan)
  expect(shapeOf(record)).toEqual(shapeOf(failureRecord({ errorMessage: 'x', errorType: 'Error' })))
  expect(readPlanEvent(record, replicate)).toMatchObject({
    kind: 'notice',
    flow: workerEvent.flow,
    notice: { worker: workerEvent.worker, detail: 'Error: [504] - Lambda timeout.' },
  })
})

test('nobody is told of a worker that succeeds, or of another function that fails', async () => {
  const { invoke, all } = await startStage(({ name }, response) => {
    if (name === replicate) response.end('{"partitions":[]}')
    else fail(response)
  })

  expect(await invoke(replicate, workerEvent)).toEqual({ kind: 'succeeded' })
  expect(await invoke('gapless-local-watch', {})).toMatchObject({ kind: 'failed' })

  expect(all.map(each => each.name)).toEqual([replicate, 'gapless-local-watch'])
})

test('a caller sees a service that is gone as it would without the stand-in', async () => {
  const { invoke, all } = await startStage((_invoked, response) => response.destroy())

  const outcome = await invoke(replicate, workerEvent)

  expect(outcome).toMatchObject({
    kind: 'failed',
    detail: expect.stringContaining('cannot invoke'),
  })
  expect(all.filter(each => each.name === plan)).toEqual([])
})

/** The stand-in in front of a service; both end with the test. */
async function startStage(serve: Serve) {
  const all: Invoked[] = []
  const arrived = new Map<string, PromiseWithResolvers<unknown>>()
  const arrival = (name: string) => {
    const known = arrived.get(name) ?? Promise.withResolvers<unknown>()
    arrived.set(name, known)
    return known
  }
  const server = createServer(async (request, response) => {
    const [, name = ''] =
      /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(request.url ?? '') ?? []
    const invoked = { name, event: JSON.parse(await bodyOf(request)) }
    all.push(invoked)
    arrival(name).resolve(invoked.event)
    serve(invoked, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const notices = await startFailureNotices({ endpoint, failuresOf: replicate, toldTo: plan })
  onTestFinished(async () => {
    vi.unstubAllEnvs()
    await notices.stop()
    server.close()
    server.closeAllConnections()
  })
  vi.stubEnv('AWS_ENDPOINT_URL', notices.endpoint)
  vi.stubEnv('AWS_REGION', 'us-east-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
  return {
    all,
    /** The event of the first invocation of a function. */
    invoked: (name: string) => arrival(name).promise,
    invoke: (functionName: string, event: unknown) =>
      createFunctionInvoker({ functionName, invocationType: 'RequestResponse' })(event),
  }
}

/** As serverless-offline answers for a worker that its time-out ended. */
function fail(response: ServerResponse): void {
  response.setHeader('X-Amz-Function-Error', 'Unhandled')
  response.end(
    '{"errorMessage":"[504] - Lambda timeout.","errorType":"Error","trace":["Error: x"]}',
  )
}

/** The names of all fields, to any depth, but those within the payloads. */
function shapeOf(record: unknown): unknown {
  const { requestContext, responseContext, ...others } = record as ReturnType<typeof failureRecord>
  return [others, requestContext, responseContext].map(each => Object.keys(each).toSorted())
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
