import fc from 'fast-check'
import { expect, test } from 'vitest'
import { redactUrls } from '../../../lib/core/redact-url.ts'

test.each([
  ['https://id.example.com/token', 'https://id.example.com/token'],
  ['https://id.example.com/token?client_secret=hunter2', 'https://id.example.com/token?***'],
  ['https://u:hunter2@id.example.com/t?a=b#c', 'https://***@id.example.com/t?***'],
  ['https://id.example.com/#hunter2', 'https://id.example.com/?***'],
  ['SASL_SSL://u:hunter2@b1:9092', 'SASL_SSL://***@b1:9092'],
  ['u:hunter2@b1:9092', '***@b1:9092'],
  ['s3://bucket/key?versionId=1', 's3://bucket/key?***'],
  ['connect ECONNREFUSED 127.0.0.1:9092', 'connect ECONNREFUSED 127.0.0.1:9092'],
  ['SASL PLAIN as User:gapless', 'SASL PLAIN as User:gapless'],
])('%s is printed as %s', (text, printed) => {
  expect(redactUrls(text)).toBe(printed)
})

test('no secret in the query or the user of an address is printed, wherever the address stands', () => {
  const secret = 'hunter2'
  const around = fc.constantFrom('', 'token endpoint ', '"', '(')
  const address = fc.constantFrom(
    `https://id.example.com/t?secret=${secret}`,
    `https://${secret}@id.example.com/t`,
    `https://user:${secret}@id.example.com:443/t?x=${secret}&y=${secret}#${secret}`,
    `user:${secret}@b1:9092`,
  )
  fc.assert(
    fc.property(around, address, around, (before, url, after) => {
      expect(redactUrls(`${before}${url}${after} does not answer`)).not.toContain(secret)
    }),
  )
})

test('a text that is made to be slow is printed at once', () => {
  const long = `${'a'.repeat(20_000)}:${'@'.repeat(20_000)}`
  expect(redactUrls(long).length).toBeGreaterThan(0)
  expect(redactUrls(`https://${'a:'.repeat(20_000)}`).length).toBeGreaterThan(0)
})
