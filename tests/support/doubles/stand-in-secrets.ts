// Secrets Manager and SSM's Parameter Store as one HTTP endpoint of this process. The SDK and its
// callers are real; a test sets the answer for each name. tests/integration/secrets.test.ts runs
// against LocalStack instead.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type StandInSecrets = {
  /** The value of each name; other names do not exist. */
  readonly values: Map<string, string>
  /** Refused names, each with the text of its error. */
  readonly denied: Map<string, string>
  /** How often each name was requested. */
  readonly asked: Map<string, number>
  /** The environment of a process that uses this endpoint instead of AWS. */
  readonly env: Record<string, string>
  close(): void
}

export async function startStandInSecrets(): Promise<StandInSecrets> {
  const values = new Map<string, string>()
  const denied = new Map<string, string>()
  const asked = new Map<string, number>()
  const answer = (target: string, body: string): { status: number; body: object } => {
    const { SecretId, Name } = JSON.parse(body) as { SecretId?: string; Name?: string }
    const name = SecretId ?? Name ?? ''
    asked.set(name, (asked.get(name) ?? 0) + 1)
    const text = denied.get(name)
    const isParameter = target.endsWith('GetParameter')
    if (text !== undefined) {
      return { status: 400, body: { __type: 'AccessDeniedException', message: text } }
    }
    const value = values.get(name)
    if (value === undefined) {
      const type = isParameter ? 'ParameterNotFound' : 'ResourceNotFoundException'
      return { status: 400, body: { __type: type, message: 'not there' } }
    }
    return {
      status: 200,
      body: isParameter ? { Parameter: { Name: name, Value: value } } : { SecretString: value },
    }
  }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => {
      const answered = answer(String(request.headers['x-amz-target']), body)
      response.writeHead(answered.status, { 'content-type': 'application/x-amz-json-1.1' })
      response.end(JSON.stringify(answered.body))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    values,
    denied,
    asked,
    env: {
      AWS_ENDPOINT_URL_SECRETS_MANAGER: url,
      AWS_ENDPOINT_URL_SSM: url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
