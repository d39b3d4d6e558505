import { describe, expect, test } from 'vitest'
import { type Incident, incidentKinds } from '../../../../lib/core/incident.ts'
import { notificationOf, toldState } from '../../../../lib/core/monitoring/notification.ts'
import { sourceOffset } from '../../../../lib/core/offset.ts'
import { truncation } from '../../../support/contracts/store-examples.ts'

const about = { stage: 'prod', flow: 'primary-to-standby' }

describe('a notification', () => {
  test('a notification of one incident carries topic, partition, range and the command to run', () => {
    const { subject, text } = notificationOf(about, [truncation()])
    expect(subject).toBe('gapless prod primary-to-standby: log-truncated commit-log-0 open')
    expect(text).toContain('commit-log-0')
    expect(text).toContain('[120, 500)')
    expect(text).toContain('gapless resume commit-log:0 --flow primary-to-standby')
    expect(text).toContain('expected offset 120, found 500, lost at most 380')
    expect(text).toContain('gapless incidents --flow primary-to-standby')
  })

  test('a notification of several incidents counts them and tells each', () => {
    const several = [truncation(), truncation({ partition: 1, resolution: 'continued' })]
    const { subject, text } = notificationOf(about, several)
    expect(subject).toBe('gapless prod primary-to-standby: 2 incidents, 1 open')
    expect(text).toContain('commit-log-0')
    expect(text).toContain('commit-log-1')
  })

  test('a notification of an incident that has ended names no command', () => {
    const { text } = notificationOf(about, [truncation({ resolution: 'resumed' })])
    expect(text).toContain('log-truncated commit-log-0 resumed: nothing to do.')
    expect(text).not.toContain('gapless resume')
  })

  test.each(incidentKinds)('a notification of kind %s has a subject that SNS accepts', kind => {
    const topic = 'x'.repeat(249)
    const { subject } = notificationOf(about, [truncation({ kind, topic })])
    expect(subject).toMatch(/^[\x20-\x7e]{1,100}$/)
  })
})

describe('a notification that would be too large', () => {
  const SNS_BYTES_MAX = 256 * 1024
  const huge = (bytes: number, change: Partial<Incident> = {}) =>
    truncation({
      kind: 'unreachable',
      topic: null,
      partition: null,
      evidence: { cluster: 'primary', detail: '🦊'.repeat(bytes / 4) },
      ...change,
    })

  test('a notification of incidents with details of any length is one that SNS takes', () => {
    for (const bytes of [4 * 1024, 64 * 1024, 1024 * 1024]) {
      const { text } = notificationOf(about, Array(50).fill(huge(bytes)))
      expect(Buffer.byteLength(text)).toBeLessThan(SNS_BYTES_MAX)
      expect(text).toContain('bytes left out')
      expect(text).toContain('gapless incidents --flow primary-to-standby')
    }
  })

  test('a detail is cut in a notification, and the command behind it stays', () => {
    const batch = huge(64 * 1024, { kind: 'unsupported-batch', topic: 'orders', partition: 0 })
    expect(notificationOf(about, [batch]).text).toContain('gapless resume orders:0')
  })

  test('incidents that do not fit into a notification are counted', () => {
    const many = Array.from({ length: 200 }, () => huge(64 * 1024))
    const { subject, text } = notificationOf(about, many)
    expect(Buffer.byteLength(text)).toBeLessThan(SNS_BYTES_MAX)
    expect(text).toMatch(/\n\d+ more incidents do not fit in here\.\n/)
    expect(subject).toContain('200 incidents')
  })

  test('a subject holds no character that SNS refuses', () => {
    const { subject } = notificationOf(about, [truncation({ topic: 'Ü\nx' })])
    expect(subject).toMatch(/^[\x20-\x7e]{1,100}$/)
  })
})

test('another resolution or another range of an incident is another told state', () => {
  const changes: Partial<Incident>[] = [
    { resolution: 'resumed' },
    { foundOffset: sourceOffset(600n) },
    { lostRecordsMax: 480n },
  ]
  for (const change of changes)
    expect(toldState(truncation(change))).not.toBe(toldState(truncation()))
  expect(toldState(truncation({ detectedAtMs: 5 }))).toBe(toldState(truncation()))
})
