// An HTTP server in this process that answers like DynamoDB with scripted answers, for answers that
// a real one does not give on demand, such as throttling.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type ScriptedDynamoDb = {
  /** The environment for `createDynamoDbClient`. */
  env: Record<string, string>
  endpoint: string
  /** The operation of each request so far, such as `UpdateItem`. */
  requests: string[]
  close(): Promise<void>
}

export type ScriptedAnswer = { status: number; body: Record<string, unknown> }

/** Starts the server on a free port; `answer` answers every request. */
export async function startScriptedDynamoDb(
  answer: (operation: string) => ScriptedAnswer,
): Promise<ScriptedDynamoDb> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const target = String(request.headers['x-amz-target'])
    const operation = target.slice(target.indexOf('.') + 1)
    requests.push(operation)
    const { status, body } = answer(operation)
    request.resume().on('end', () => {
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' })
      response.end(JSON.stringify(body))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    endpoint,
    requests,
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
