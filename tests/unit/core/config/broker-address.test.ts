import { describe, expect, test } from 'vitest'
import {
  brokerProblem,
  brokerText,
  parseBroker,
} from '../../../../lib/core/config/broker-address.ts'

describe('a bootstrap address', () => {
  test.each([
    ['b1:9092', 'b1', 9092],
    ['b-1.example.com:9094', 'b-1.example.com', 9094],
    ['127.0.0.1:1', '127.0.0.1', 1],
    ['[::1]:9092', '::1', 9092],
    ['[2001:db8::17]:65535', '2001:db8::17', 65_535],
    ['[fe80::1%eth0]:9092', 'fe80::1%eth0', 9092],
  ])('%s has a host and a port, and is written as it was', (broker, host, port) => {
    expect(brokerProblem(broker)).toBeNull()
    expect(parseBroker(broker)).toEqual({ host, port })
    expect(brokerText({ host, port })).toBe(broker)
  })

  test.each([
    ['b1', 'host:port'],
    ['b1:', 'host:port'],
    ['b1:0', 'host:port'],
    ['b1:65536', 'host:port'],
    ['b1:9092/', 'host:port'],
    ['[b1]:9092', 'host:port'],
    ['::1:9092', 'host:port with an IPv6 address in brackets: [::1]:9092'],
    ['::1', 'host:port with an IPv6 address in brackets: [::1]:9092'],
    ['PLAINTEXT://b1:9092', 'host:port without PLAINTEXT://, here: b1:9092'],
    ['PLAINTEXT://:9092', 'host:port without PLAINTEXT://'],
    ['SSL://[::1]:9093', 'host:port without SSL://, here: [::1]:9093; set tls for it'],
    ['SASL_SSL://b1:9094', 'host:port without SASL_SSL://, here: b1:9094; set tls and sasl for it'],
    [
      'SASL_PLAINTEXT://b1:9094',
      'host:port without SASL_PLAINTEXT://, here: b1:9094; set sasl for it',
    ],
    ['http://b1:8080/topics', 'host:port without http://, here: b1:8080'],
    ['user:secret@b1:9092', 'host:port without a user, here: b1:9092; credentials go into sasl'],
  ])('%s is refused with what to write', (broker, accepted) => {
    expect(brokerProblem(broker)).toBe(accepted)
  })
})
