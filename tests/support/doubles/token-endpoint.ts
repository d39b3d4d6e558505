// A token endpoint of OAuth 2.0 in this process, whose tokens real brokers take: for client
// credentials, as RFC 6749 has them.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { unsignedToken } from '../kafka/secure-cluster.ts'

export type TokenEndpoint = {
  readonly url: string
  /** How many tokens were given out. */
  given(): number
  close(): void
}

/** Gives out tokens for `subject` that live for `lifeMs`, to `id` and `secret` only. */
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
