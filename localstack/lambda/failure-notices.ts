// Owns a stand-in between the functions of the local stage and Lambda's Invoke API of
// serverless-offline, which has no destinations: where the invocation of a worker fails, it tells
// `plan`, with the record that Lambda makes of it. On AWS the event bus of infra/failures.yml does
// that. Everything else goes through as it is.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingMessage,
  type ServerResponse,
  request as sendRequest,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { localAddress } from '../processes/ports.ts'
import { createFailureRecord, type FunctionFailure } from './failure-record.ts'

export type FailureNotices = {
  /** For AWS_ENDPOINT_URL_LAMBDA of the functions. */
  readonly endpoint: string
  stop(): Promise<void>
}

type Answer = {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export async function startFailureNotices(input: {
  /** The Invoke API. It need not answer yet. */
  readonly endpoint: string
  /** The names of functions. */
  readonly failuresOf: string
  readonly toldTo: string
}): Promise<FailureNotices> {
  const { endpoint, failuresOf, toldTo } = input
  // A worker answers after up to a quarter of an hour, and the service closes idle connections.
  const agent = new Agent({ keepAlive: false })
  const server = createServer((request, response) => {
    void pass(request, response)
  })
  const pass = async (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url ?? '/'
    const body = await bodyOf(request)
    let answer: Answer
    try {
      answer = await post(agent, `${endpoint}${path}`, body, request.headers)
    } catch {
      // The service is gone: the caller must see what it would see without this stand-in.
      return void response.destroy()
    }
    response.writeHead(answer.status, answer.headers).end(answer.body)
    if (path !== pathOf(failuresOf) || answer.headers['x-amz-function-error'] === undefined) return
    const record = createFailureRecord({
      requestId: randomUUID(),
      functionName: failuresOf,
      event: JSON.parse(body),
      failure: JSON.parse(answer.body) as FunctionFailure,
      nowMs: Date.now(),
    })
    // Where `plan` fails its own log says why, and where the service ended its starter does.
    await post(agent, `${endpoint}${pathOf(toldTo)}`, JSON.stringify(record), {}).catch(() => null)
  }
  server.listen(0, localAddress)
  await once(server, 'listening')
  // The process that started the functions may end as soon as they have.
  server.unref()
  return {
    endpoint: `http://${localAddress}:${(server.address() as AddressInfo).port}`,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      agent.destroy()
      await closed
    },
  }
}

function pathOf(functionName: string): string {
  return `/2015-03-31/functions/${functionName}/invocations`
}

/** Rejects when the connection breaks. There is no time-out: a worker takes as long as it takes. */
async function post(
  agent: Agent,
  url: string,
  body: string,
  { host: _host, ...headers }: IncomingMessage['headers'],
): Promise<Answer> {
  const request = sendRequest(url, { method: 'POST', agent, headers })
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  request.end(body)
  const [response] = await answered
  const { statusCode = 502, headers: given } = response
  return { status: statusCode, headers: given, body: await bodyOf(response) }
}

async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
