// The table of an audit and its exit code, and the names of its JSON in docs/CLI.md.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { auditExitCode } from '../../../../cli/audit/audit-command.ts'
import { auditLines, renderAudit } from '../../../../cli/audit/audit-text.ts'
import type { AuditReport } from '../../../../cli/audit/run-audit.ts'
import { emptyAccount } from '../../../../lib/core/audit/account.ts'
import type { Difference } from '../../../../lib/core/audit/difference.ts'
import { reportPartition } from '../../../../lib/core/audit/report.ts'

const log = { topicId: 'T', logStart: 0n, logEnd: 1_234n, compared: [{ from: 0n, to: 1_234n }] }

function partitionOf(differences: readonly Difference[], problem: string | null = null) {
  const account = emptyAccount()
  account.offsets.replicated = 1_234n - BigInt(differences.length)
  account.offsets.differing = BigInt(differences.length)
  account.differences.push(...differences)
  return reportPartition({
    ...{ topic: 'orders', partition: 0, targetTopic: 'primary.orders', account, problem },
    ...{ excused: [], source: log, target: log, notes: [] },
  })
}

function reportOf(partition: ReturnType<typeof partitionOf>): AuditReport {
  const cluster = { name: 'primary', clusterId: 'C' }
  const flow = { name: 'flow', source: cluster, target: cluster, unobserved: [] }
  const about = {
    gapless: '1',
    node: 'v24',
    startedAt: '',
    endedAt: '',
    range: 'full',
    deep: false,
  }
  return { ...about, flows: [{ ...flow, partitions: [partition] }] }
}

const missing = (offset: bigint): Difference => {
  return { kind: 'missing', sourceOffset: offset, targetOffset: null, field: null }
}

test('differences that follow each other share a line, and both offsets are named', async () => {
  const changed = { kind: 'changed' as const, sourceOffset: 9n, targetOffset: 7n }
  const found = [missing(3n), missing(4n), missing(5n), { ...changed, field: 'key' as const }]
  const report = reportOf(partitionOf(found))
  const lines = (await renderAudit(report)).split('\n')
  expect(lines[0]).toBe('flow: 4 differences, 1,230 records are the same on both sides')
  expect(lines.slice(3)).toEqual([
    'missing: orders:0@3 to 5 are not on the target',
    'changed: orders:0@9 and primary.orders:0@7 differ, first in key',
  ])
  expect(auditExitCode(report)).toBe(4)
})

test('a partition that does not add up is a difference, one that was not read to its end a failure', () => {
  const well = partitionOf([])
  expect(auditExitCode(reportOf(well))).toBe(0)
  const stopped = reportOf(partitionOf([], 'compared up to source offset 5'))
  expect(auditExitCode(stopped)).toBe(1)
  expect(auditLines(stopped)).toEqual(['error: flow: orders:0: compared up to source offset 5'])
  expect(auditExitCode(reportOf({ ...well, addsUp: false }))).toBe(4)
})

test('every name of the JSON is in docs/CLI.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/CLI.md'), 'utf8')
  const section = page.slice(page.indexOf('### audit --json\n'))
  const report = reportOf(partitionOf([missing(3n)]))
  const names = new Set<string>()
  JSON.stringify(report, (name, value: unknown) => {
    if (name !== '' && Number.isNaN(Number(name))) names.add(name)
    return value
  })
  expect(names.size).toBeGreaterThan(40)
  expect(
    [...names].filter(name => !section.includes(`"${name}"`) && !section.includes(`\`${name}\``)),
  ).toEqual([])
})
