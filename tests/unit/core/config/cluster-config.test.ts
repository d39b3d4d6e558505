import { expect, test } from 'vitest'
import { asWatch } from '../../../../lib/core/config/cluster-config.ts'
import { parseConfig } from '../../../../lib/core/config/config.ts'

function parse(cluster: Record<string, unknown>) {
  const clusters = { a: { brokers: ['a:1'], ...cluster }, b: { brokers: ['b:1'] } }
  return parseConfig({ clusters, flows: [{ name: 'f', from: 'a', to: 'b', topics: ['t'] }] })
}

function clusterOf(cluster: Record<string, unknown>) {
  const parsed = parse(cluster)
  const found = parsed.kind === 'valid' ? parsed.config.clusters.a : undefined
  if (found === undefined) throw new Error(JSON.stringify(parsed))
  return found
}

const scram = (username: string) => ({ mechanism: 'scram-sha-512', username, password: 'p' })

test('the watch function has the identity that the cluster names for it, and every other key of the cluster', () => {
  const cluster = clusterOf({ tls: true, sasl: scram('gapless'), watch: { sasl: scram('watch') } })
  expect(asWatch(cluster)).toEqual({ brokers: ['a:1'], tls: true, sasl: scram('watch') })
  const byCertificate = clusterOf({ tls: { cert: 'a.pem' }, watch: { tls: { cert: 'b.pem' } } })
  expect(asWatch(byCertificate)).toMatchObject({ tls: { cert: 'b.pem' } })
})

test('without an identity of its own the watch function has that of the cluster', () => {
  const cluster = clusterOf({ tls: true, sasl: scram('gapless') })
  expect(asWatch(cluster)).toEqual(cluster)
})

test('an identity of the watch function that names none is refused', () => {
  expect(parse({ watch: {} })).toMatchObject({
    problems: [{ path: ['clusters', 'a', 'watch'], accepted: '{ sasl, tls }, one or both' }],
  })
})
