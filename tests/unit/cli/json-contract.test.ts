import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Acl } from '../../../lib/core/acl.ts'
import { importMirror } from '../../../lib/core/mirror-maker/import.ts'
import { sourceOffset, targetOffset } from '../../../lib/core/offset.ts'
import type { Worker } from '../../../lib/core/row/worker-row.ts'
import { readMirror } from '../../../lib/io/mirror-maker/mirror-files.ts'
import { reportDrill } from '../../../lib/run/drill/drill-report.ts'
import { openLedger } from '../../../lib/run/drill/ledger.ts'
import { reportFailback } from '../../../lib/run/failback/failback-report.ts'
import { reportFailover } from '../../../lib/run/failover/failover-report.ts'
import { reportFollowed } from '../../../lib/run/operate/follow-report.ts'
import { reportGroups } from '../../../lib/run/operate/groups-report.ts'
import {
  reportFlowStatus,
  reportIncident,
  reportPartitionRun,
  type TranslateReport,
} from '../../../lib/run/operate/report.ts'
import { nothingCopied } from '../../../lib/run/partition/partition-run.ts'
import type { GroupReport as LookedGroup } from '../../../lib/run/sync/looked-group.ts'
import { flowOf } from '../../support/worlds/parsed-flow.ts'

const documentation = readFileSync(join(import.meta.dirname, '../../../docs/CLI.md'), 'utf8')

/** The field names in a `{...}` form of docs/CLI.md, in their order. */
function documentedKeys(command: string, after: string): string[] {
  const section = documentation.slice(documentation.indexOf(`### ${command} --json\n`))
  const drawing = /```\n([\s\S]*?)```/.exec(section)?.[1] ?? ''
  const list = new RegExp(`"${after}":\\[\\{([^}[]*)\\}`).exec(drawing)?.[1] ?? ''
  return [...list.matchAll(/"(\w+)"/g)].map(([, name = '']) => name)
}

/** The names of the outer fields of a form, without the fields inside their lists. */
function topLevelKeys(command: string): string[] {
  const section = documentation.slice(documentation.indexOf(`### ${command} --json\n`))
  const drawing = /```\n([\s\S]*?)```/.exec(section)?.[1] ?? ''
  const flat = drawing.replace(/\[\{[^{}]*\}\]/g, '[]')
  return [...flat.matchAll(/"(\w+)":/g)].map(([, name = '']) => name)
}

const golden = join(import.meta.dirname, '../../golden/mirror-maker')
const beyondDoubles = 2n ** 53n + 1n
const position = {
  sourceTopicId: 'a',
  targetTopicId: 'b',
  nextSourceOffset: sourceOffset(beyondDoubles),
  nextTargetOffset: targetOffset(beyondDoubles),
  epochs: [],
  lastSeenLogEndOffset: null,
  lastTimestampMs: null,
  rewinds: 0,
  producer: null,
}

const runningWorker: Worker = {
  flow: 'flow',
  worker: 'worker-1',
  role: 'worker',
  run: 'run-1',
  invocation: null,
  beganAtMs: 0,
  renewedAtMs: 0,
  aliveUntilMs: 6_000,
  partitions: 1,
  assigned: [],
  successor: null,
  endedAtMs: null,
}

describe('The JSON contract', () => {
  test('the JSON of groups has the fields that docs/CLI.md promises, with offsets as strings, by group and partition', () => {
    const looked: LookedGroup = {
      ...{ group: 'g', type: 'classic', topic: 't', partition: 10 },
      sourceOffset: sourceOffset(beyondDoubles),
      standbyOffset: targetOffset(beyondDoubles),
      ...{ recordsReread: beyondDoubles, recordsMissing: 0n },
      ...{ state: 'synced', reason: null, isPassing: false },
    }
    const nothing = { topic: null, partition: null, sourceOffset: null, standbyOffset: null }
    const share: LookedGroup = {
      ...{ ...looked, ...nothing, group: 'a', type: 'share', state: 'not-synced', reason: 'why' },
      ...{ recordsReread: null, recordsMissing: null },
    }
    const report = reportGroups({ name: 'flow', unobserved: ['what'] }, [
      looked,
      share,
      { ...looked, partition: 9 },
    ])
    expect(report.groups.map(each => [each.group, each.partition])).toEqual([
      ['a', null],
      ['g', 9],
      ['g', 10],
    ])
    const [, synced] = report.groups
    expect(Object.keys(synced ?? {})).toEqual(documentedKeys('groups', 'groups'))
    expect(synced).toMatchObject({
      sourceOffset: String(beyondDoubles),
      standbyOffset: String(beyondDoubles),
      recordsReread: String(beyondDoubles),
    })
    expect(topLevelKeys('groups')).toEqual(['flows', ...Object.keys(report).slice(1)])
  })

  test('the JSON of sync has the fields that docs/CLI.md promises about configs, deletions, ACLs and heartbeats', () => {
    const acl: Acl = {
      ...{ pattern: 'LITERAL', name: 't', permission: 'ALLOW', operation: 'READ' },
      ...{ principal: 'User:app', host: '*' },
    }
    const at = { topic: 't', targetTopic: 'p.t' }
    const report = reportFollowed(
      {
        topics: {
          topics: 1,
          configs: {
            changed: [{ ...at, config: 'retention.ms', from: '1', to: null }],
            ...{ differing: [], refused: [], unknown: [] },
          },
          deletions: [
            {
              ...{ ...at, onSource: 'recreated', kind: 'deleted', reason: null },
              groupOffsets: [{ group: 'shop', partition: 0, offset: 7n }],
              groupOffsetsCount: 1,
            },
          ],
          failures: [],
        },
        acls: {
          ...{ created: [acl], removed: [], missing: [], withheld: [], left: [], refused: [] },
          ...{ notCopied: [], unknown: [] },
        },
        heartbeat: {
          ...{ writtenAtMs: 1, notWritten: null, unknown: [] },
          paths: [{ by: 'own', clusters: ['p'], newestAtMs: 1, ageMs: 2, latencyMs: 3 }],
        },
      },
      flowOf({ sync: { heartbeats: 'mirror-maker' } }),
    )
    for (const list of ['configs', 'deletions', 'acls'] as const) {
      expect(Object.keys(report[list][0] ?? {})).toEqual(documentedKeys('sync', list))
    }
    expect(Object.keys(report.heartbeat?.paths[0] ?? {})).toEqual(documentedKeys('sync', 'paths'))
    const text = documentation.slice(documentation.indexOf('### sync --json'))
    for (const name of [...Object.keys(report), ...Object.keys(report.heartbeat ?? {})]) {
      expect(text).toContain(`"${name}"`)
    }
  })

  test('the JSON of status has the fields that docs/CLI.md promises, with offsets as strings', () => {
    const unknown = reportFlowStatus({
      name: 'flow',
      partitions: [
        {
          topic: 't',
          partition: 0,
          targetTopic: 'primary.t',
          state: 'unobserved',
          nextSourceOffset: beyondDoubles,
          nextTargetOffset: null,
          sourceLogStartOffset: null,
          sourceLogEndOffset: null,
          lagRecords: null,
          topicId: null,
          openIncidents: 0,
          updatedAtMs: 0,
          latencyMs: null,
          lagMs: null,
          headroomMs: null,
          offsets: { text: 'same since 0', distance: 0n },
        },
      ],
      unobserved: [],
      warnings: [],
      losses: [],
      leftOut: ['eu.orders'],
      openIncidents: 0,
      problems: [],
      workers: [runningWorker],
      failover: { kind: 'active' },
    })
    const lists = ['partitions', 'unobserved', 'warnings', 'losses', 'leftOut']
    const outer = [
      ...[...lists, 'openIncidents', 'problems', 'workers'],
      ...['failover', 'failoverStep'],
    ]
    expect(Object.keys(unknown)).toEqual(['name', ...outer])
    expect(topLevelKeys('status')).toEqual(['flows', ...outer])
    expect(Object.keys(unknown.workers[0] ?? {})).toEqual(documentedKeys('status', 'workers'))
    const [partition] = unknown.partitions
    expect(Object.keys(partition ?? {})).toEqual(documentedKeys('status', 'partitions'))
    expect(partition).toMatchObject({
      nextSourceOffset: '9007199254740993',
      lagRecords: null,
      offsets: 'same since 0',
      offsetDistance: '0',
      updatedAt: '1970-01-01T00:00:00.000Z',
    })
  })

  test('the JSON of run --once has the fields that docs/CLI.md promises, with offsets as strings', () => {
    const report = reportPartitionRun({
      topic: 't',
      partition: 0,
      outcome: 'drained',
      detail: null,
      ...nothingCopied,
      recordsReplicated: beyondDoubles,
      state: { kind: 'replicating', position },
    })
    expect(Object.keys(report)).toEqual(documentedKeys('run --once', 'partitions'))
    expect(report).toMatchObject({
      recordsReplicated: '9007199254740993',
      nextTargetOffset: '9007199254740993',
    })
  })

  test('the JSON of failover has the fields that docs/CLI.md promises, with offsets as strings', () => {
    const decision = { id: 'd', how: 'planned', topics: null, by: 'anna', atMs: 0 } as const
    const report = reportFailover('flow', {
      kind: 'done',
      state: { kind: 'failing-over', step: 'fencing', decision, earlier: [] },
      partitions: [
        {
          ...{ topic: 't', partition: 0, targetTopic: 'primary.t', notes: [] },
          ...{ nextSourceOffset: 1n, sourceLogEndOffset: beyondDoubles },
          ...{ recordsMissing: beyondDoubles, lastSeenAtMs: 0 },
        },
      ],
      groups: [],
      problems: [],
    })
    expect(Object.keys(report.partitions[0] ?? {})).toEqual(
      documentedKeys('failover', 'partitions'),
    )
    const documented = topLevelKeys('failover')
    expect(Object.keys(report)).toEqual(['flow', 'state', ...documented])
    expect(report).toMatchObject({
      ...{ state: 'failing-over', step: 'fencing' },
      partitions: [{ recordsMissing: '9007199254740993', lastSeenAt: '1970-01-01T00:00:00.000Z' }],
    })
  })

  test('the JSON of failback has the fields that docs/CLI.md promises, with offsets as strings', () => {
    const at = { topic: 't', partition: 0, targetTopic: 'primary.t' }
    const range = { from: sourceOffset(1n), to: sourceOffset(beyondDoubles) }
    const way = { kind: 'divergent', ...range, records: beyondDoubles, position } as const
    const report = reportFailback('flow', {
      ...{ kind: 'refused', state: { kind: 'active' }, groups: [], problems: [] },
      returning: [{ ...at, way }],
    })
    expect(Object.keys(report.partitions[0] ?? {})).toEqual(
      documentedKeys('failback', 'partitions'),
    )
    expect(Object.keys(report)).toEqual(['flow', 'state', ...topLevelKeys('failback')])
    expect(report.partitions).toMatchObject([
      { divergentTo: String(beyondDoubles), divergentRecords: String(beyondDoubles) },
    ])
  })

  test('the JSON of drill failover has the fields that docs/CLI.md promises', () => {
    const drill = {
      ...{ drill: 'd', flow: 'f', source: 'primary', standby: 'standby', by: 'anna' },
      ...{ topic: '__d', targetTopic: 'primary.__d', startedAtMs: 0, aliveUntilMs: 0 },
    }
    const ledger = openLedger()
    ledger.steps.push({ step: 'copy', ms: 1 })
    ledger.checks.push({ step: 'copy', check: 'records', expected: '1', found: '1' })
    ledger.failovers.push({ how: 'planned', recordsWritten: 1, recordsMissing: 0, rtoMs: 1 })
    const report = reportDrill({ drill, ledger, leftovers: [drill], result: 'passed', left: [] })

    for (const list of ['steps', 'failovers', 'checks', 'leftovers'] as const) {
      expect(Object.keys(report[list][0] ?? {})).toEqual(documentedKeys('drill failover', list))
    }
    const documented = topLevelKeys('drill failover')
    expect(Object.keys(report)).toEqual(['drill', 'flow', 'topic', 'targetTopic', ...documented])
    expect(report.leftovers[0]?.startedAt).toBe('1970-01-01T00:00:00.000Z')
  })

  test('the JSON of incidents has the fields that docs/CLI.md promises, with offsets as strings', () => {
    const report = reportIncident({
      id: 'x',
      kind: 'log-truncated',
      flow: 'flow',
      topic: 't',
      partition: 0,
      resolution: 'open',
      detectedAtMs: 0,
      expectedOffset: sourceOffset(0n),
      foundOffset: sourceOffset(beyondDoubles),
      lostRecordsMax: beyondDoubles,
      evidence: {},
    })
    expect(Object.keys(report)).toEqual(documentedKeys('incidents', 'incidents'))
    expect(topLevelKeys('incidents')).toEqual(['incidents', 'leftOut', 'unreadable'])
    expect(report).toMatchObject({ expectedOffset: '0', lostRecordsMax: '9007199254740993' })
  })

  test('the JSON of import has the fields that docs/CLI.md promises', async () => {
    const file = join(golden, 'dedicated-secure', 'in', 'mm2.properties')
    const report = importMirror(await readMirror([file]), ['mm2.properties'])
    for (const list of ['flows', 'properties', 'secrets'] as const) {
      expect(Object.keys(report[list][0] ?? {})).toEqual(documentedKeys('import', list))
    }
    // The drawing names the last field, a text, without a value.
    expect(Object.keys(report)).toEqual(['form', ...topLevelKeys('import'), 'config'])
  })

  test('the JSON of translate has the fields that docs/CLI.md promises', () => {
    const section = documentation.slice(documentation.indexOf('### translate --json\n'))
    const drawing = /```\n([\s\S]*?)```/.exec(section)?.[1] ?? ''
    const report: TranslateReport = {
      flow: 'f',
      topic: 't',
      partition: 0,
      targetTopic: 'a.t',
      sourceOffset: '1',
      targetOffset: '1',
      kind: 'exact',
      rereadRecordsMax: '0',
      sourceSeen: true,
    }
    expect([...drawing.matchAll(/"(\w+)"/g)].map(([, name]) => name)).toEqual(Object.keys(report))
  })
})
