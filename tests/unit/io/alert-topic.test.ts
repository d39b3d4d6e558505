// Publishing over a real HTTP connection to a server that takes requests and never answers.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createNotify } from '../../../lib/io/alert-topic.ts'

test('an alert topic that never answers fails the tick after a few attempts, and says what to check', async () => {
  let asked = 0
  const server = createServer(request => {
    asked += 1
    request.resume()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    vi.unstubAllEnvs()
    server.close()
    server.closeAllConnections()
  })
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  vi.stubEnv('AWS_REGION', 'us-east-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
  const notify = createNotify({ GAPLESS_ALERT_TOPIC: 'arn:aws:sns:us-east-1:1:alerts' })

  await expect(notify?.({ subject: 'a', text: 'b' })).rejects.toMatchObject({
    code: 'notification-refused',
    hint: expect.stringContaining('network path from watch to SNS'),
  })
  expect(asked).toBe(3)
}, 60_000)
