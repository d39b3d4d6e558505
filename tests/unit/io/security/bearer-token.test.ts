// Tokens from an endpoint of OAuth 2.0. Brokers that accept and refuse them are in
// tests/integration/security.test.ts.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { fetchToken, subjectOf } from '../../../../lib/io/security/bearer-token.ts'

const canary = 'canary-0815'
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

type Asked = { readonly authorization: string | undefined; readonly body: string }

async function endpoint(status: number, answer: string, headers: Record<string, string> = {}) {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => {
      asked.push({ authorization: request.headers.authorization, body })
      response.writeHead(status, headers).end(answer)
    })
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, asked }
}

const client = { clientId: 'gap less', clientSecret: `${canary}:1`, scope: undefined }

test('A token is requested as RFC 6749 says, and is used for four fifths of its lifetime', async () => {
  const { url, asked } = await endpoint(200, '{"access_token":"abc","expires_in":100}')

  const token = await fetchToken({ ...client, url, scope: 'kafka' }, 1_000_000)

  expect(token).toEqual({ token: 'abc', freshUntilMs: 1_080_000 })
  const pair = Buffer.from(`gap%20less:${canary}%3A1`).toString('base64')
  expect(asked).toEqual([
    { authorization: `Basic ${pair}`, body: 'grant_type=client_credentials&scope=kafka' },
  ])
})

test('A token without a lifetime is used once', async () => {
  const { url } = await endpoint(200, '{"access_token":"abc"}')
  expect(await fetchToken({ ...client, url }, 7)).toEqual({ token: 'abc', freshUntilMs: 7 })
})

test.each([
  [401, `{"error":"invalid_client","error_description":"${canary}"}`, '401 invalid_client', true],
  [400, `{"error":"${canary}"}`, '400', true],
  [200, `${canary}`, '200', true],
  [200, `{"access_token":5,"x":"${canary}"}`, '200', true],
  [503, canary, '503', false],
])(
  'A token endpoint that answers %i %s fails with an error that contains no secret',
  async (...row) => {
    const [status, answer, said, isDenial] = row
    const { url } = await endpoint(status, answer)

    const error = await fetchToken({ ...client, url }, 0).catch(failure => failure)

    expect(error).toMatchObject({
      message: `token endpoint ${url} answered ${said} and no token`,
      isDenial,
    })
    expect(inspect(error, { depth: null })).not.toContain(canary)
  },
)

test('A secret is sent to no endpoint but the configured one, whatever that redirects to', async () => {
  const other = await endpoint(200, '{"access_token":"abc"}')
  const { url } = await endpoint(307, '', { location: other.url })

  const error = await fetchToken({ ...client, url }, 0).catch(failure => failure)

  expect(error).toMatchObject({ isDenial: false })
  expect(other.asked).toEqual([])
})

test('A token endpoint that nothing listens at is reported as one that does not answer', async () => {
  const error = await fetchToken({ ...client, url: 'http://127.0.0.1:1/' }, 0).catch(each => each)
  expect(error).toMatchObject({
    message: expect.stringMatching(/^token endpoint http:\/\/127\.0\.0\.1:1\/ does not answer \(/),
    isDenial: false,
  })
})

test('The subject of a token is read, and a text that is no token has none', () => {
  const payload = Buffer.from('{"sub":"gapless"}').toString('base64url')
  expect(subjectOf(`x.${payload}.y`)).toBe('gapless')
  for (const other of ['', 'abc', 'a.b.c', `x.${Buffer.from('[1]').toString('base64url')}.y`]) {
    expect(subjectOf(other)).toBeNull()
  }
})
