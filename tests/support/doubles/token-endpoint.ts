// An OAuth 2.0 token endpoint in this process for client credentials (RFC 6749). Real brokers
// accept its tokens.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { unsignedToken } from '../kafka/secure-cluster.ts'

export type TokenEndpoint = {
  readonly url: string
  /** The number of issued tokens. */
  given(): number
  close(): void
}

/**
 * Issues tokens for `subject` that are valid for `lifeMs`, only to the client `id` with `secret`.
 */
export async function startTokenEndpoint(client: {
  readonly id: string
  readonly secret: string
  readonly subject: string
  readonly lifeMs: number
}): Promise<TokenEndpoint> {
  let given = 0
  const pair = Buffer.from(`${client.id}:${client.secret}`).toString('base64')
  const server = createServer((request, response) => {
    request.resume()
    const isKnown = request.headers.authorization === `Basic ${pair}`
    response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' })
    if (isKnown) given += 1
    response.end(
      JSON.stringify(
        isKnown
          ? {
              access_token: unsignedToken(client.subject, client.lifeMs),
              expires_in: client.lifeMs / 1_000,
            }
          : { error: 'invalid_client', error_description: client.secret },
      ),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/token`,
    given: () => given,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
