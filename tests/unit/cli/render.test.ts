import { describe, expect, test } from 'vitest'
import { renderRun, runExitCode } from '../../../cli/commands/run.ts'
import { renderStatus, statusExitCode } from '../../../cli/commands/status.ts'
import { renderTopics } from '../../../cli/commands/topics.ts'
import { chooseFlow, translationText } from '../../../cli/commands/translate.ts'
import type {
  FlowStatusReport,
  PartitionRunReport,
  PartitionStatus,
  RunOutcome,
  RunReport,
  StatusReport,
  StatusState,
  TranslateReport,
} from '../../../lib/run/operate/report.ts'
import { flowOf } from '../../support/worlds/parsed-flow.ts'

const partition: PartitionStatus = {
  topic: 'commit-log',
  partition: 0,
  targetTopic: 'primary.commit-log',
  state: 'replicating',
  nextSourceOffset: '1000',
  nextTargetOffset: '990',
  sourceLogStartOffset: '10',
  sourceLogEndOffset: '2500',
  lagRecords: '1500',
  topicId: 'QaeIpPUFTbys7cpIhbtL_Q',
  openIncidents: 0,
  updatedAt: '2026-01-02T03:04:05.678Z',
  latencyMs: 17,
  lagMs: 70_000,
  headroomMs: 7_300_000,
  offsets: 'translated',
  offsetDistance: null,
}

const unobserved: PartitionStatus = {
  ...partition,
  partition: 1,
  state: 'unobserved',
  sourceLogStartOffset: null,
  sourceLogEndOffset: null,
  lagRecords: null,
  latencyMs: null,
  lagMs: null,
  headroomMs: null,
}

function statusOf(
  partitions: PartitionStatus[],
  notObserved: string[] = [],
  more: Partial<FlowStatusReport> = {},
): StatusReport {
  const warnings = ['a warning, without effect on the exit code']
  const flow = { name: 'primary-to-standby', partitions, unobserved: notObserved, warnings }
  const outer = { losses: [], leftOut: ['eu.orders'], openIncidents: 0, problems: [], workers: [] }
  const away = { failover: 'active', failoverStep: null } as const
  return { flows: [{ ...flow, ...outer, ...away, ...more }] }
}

describe('gapless status', () => {
  test('status shows a line per partition, and a dash for an unknown value', async () => {
    const lines = (await renderStatus(statusOf([partition, unobserved]))).split('\n')
    expect(lines[0]).toBe(
      'primary-to-standby: 1 replicating, 1 unobserved; lag 1,500 records, unknown for 1 of 2 partitions',
    )
    const cells = lines.slice(1).map(line => line.split(/ {2,}/))
    expect(cells[1]).toEqual([
      ...['commit-log:0', 'primary.commit-log', 'replicating', '1000', '990', '10', '2500'],
      ...['1500', '2 h', '17 ms', '0', '2026-01-02T03:04:05.678Z'],
    ])
    expect(cells[2]?.slice(2)).toEqual([
      'unobserved',
      '1000',
      '990',
      '-',
      '-',
      '-',
      '-',
      '-',
      '0',
      '2026-01-02T03:04:05.678Z',
    ])
  })

  test('status calls a flow that it could not observe unknown, and not empty', async () => {
    expect(await renderStatus(statusOf([], ['primary: broker b:1']))).toBe(
      'primary-to-standby: unknown',
    )
    expect(await renderStatus(statusOf([]))).toContain('no partitions')
  })

  test.each<[StatusState[], string[], number]>([
    [['unstarted', 'replicating', 'waiting'], [], 0],
    [['replicating', 'unobserved'], [], 1],
    [['unobserved', 'halted'], [], 3],
    [[], ['primary: broker b:1'], 1],
    [['halted'], ['standby: broker b:1'], 3],
    [['standby-unobserved', 'replicating'], [], 1],
    [['truncated'], [], 1],
    [['reset'], [], 1],
    [['standby-missing'], [], 1],
    [['standby-reset'], [], 1],
    [['standby-cut'], [], 1],
    [['stalled'], [], 1],
    [['standby-cut', 'halted'], [], 3],
  ])(
    'status of partitions in states %j, with %j unobserved, ends with exit code %i',
    (states, notObserved, code) => {
      const partitions = states.map(state => ({ ...partition, state }))
      expect(statusExitCode(statusOf(partitions, notObserved))).toBe(code)
    },
  )
})

const ran: PartitionRunReport = {
  topic: 'commit-log',
  partition: 0,
  outcome: 'drained',
  detail: null,
  recordsReplicated: '2000000',
  bytesReplicated: '400000000',
  nextSourceOffset: '2000000',
  nextTargetOffset: '2000000',
}

function runOf(
  partitions: PartitionRunReport[],
  notObserved: string[] = [],
  failures: string[] = [],
): RunReport {
  return {
    flows: [
      { name: 'primary-to-standby', partitions, warnings: [], unobserved: notObserved, failures },
    ],
    recordsReplicated: '2000000',
    bytesReplicated: '400000000',
    elapsedMs: 8_000,
  }
}

describe('gapless run --once', () => {
  test('run --once shows each partition and ends with the totals', async () => {
    const lines = (await renderRun(runOf([{ ...ran, detail: 'why' }]))).split('\n')
    expect(lines[0]).toBe('primary-to-standby')
    expect(lines[2]?.split(/ {2,}/)).toEqual([
      'commit-log:0',
      'drained',
      '2,000,000',
      '2000000',
      '2000000',
      'why',
    ])
    expect(lines.at(-1)).toBe(
      'Replicated 2,000,000 records, 400.0 MB, in 8.0 s (250,000 records/s).',
    )
  })

  test.each<[RunOutcome[], string[], number]>([
    [['drained', 'waiting', 'absent'], [], 0],
    [['drained', 'unobserved'], [], 1],
    [['failed'], [], 1],
    [['deadline'], [], 1],
    [['lease-held'], [], 1],
    [['lease-lost'], [], 1],
    [['failed', 'halted'], [], 3],
    [[], ['primary: broker b:1'], 1],
  ])(
    'run --once with outcomes %j, and %j unobserved, ends with exit code %i',
    (outcomes, notObserved, code) => {
      expect(
        runExitCode(
          runOf(
            outcomes.map(outcome => ({ ...ran, outcome })),
            notObserved,
          ),
        ),
      ).toBe(code)
    },
  )
})

test('a run whose end could not be stored ends with exit code 1, though it copied everything', () => {
  expect(runExitCode(runOf([ran], [], ['ending the incidents that are over: no']))).toBe(1)
})

test('topics tells a cluster without topics from a cluster that does not answer', async () => {
  const text = await renderTopics({
    clusters: [
      {
        name: 'primary',
        error: null,
        topics: [
          {
            name: 'a',
            topicId: 'QaeIpPUFTbys7cpIhbtL_Q',
            partitions: [
              { partition: 0, logStartOffset: '5', logEndOffset: '9' },
              { partition: 1, logStartOffset: '0', logEndOffset: '1' },
            ],
          },
          {
            name: 'b',
            topicId: 'zzzz',
            partitions: [{ partition: 0, logStartOffset: null, logEndOffset: null }],
          },
        ],
      },
      { name: 'standby', topics: [], error: 'broker b:1: connect ECONNREFUSED' },
      { name: 'third', topics: [], error: null },
    ],
  })
  expect(text.split('\n').map(line => line.split(/ {2,}/))).toEqual([
    ['primary'],
    ['TOPIC', 'PARTITIONS', 'OFFSETS', 'TOPIC ID'],
    ['a', '2', '5', 'QaeIpPUFTbys7cpIhbtL_Q'],
    ['b', '1', '-', 'zzzz'],
    [''],
    ['standby: unknown'],
    [''],
    ['third: no topics'],
  ])
})

describe('gapless translate', () => {
  const report: TranslateReport = {
    flow: 'one',
    topic: 'orders',
    partition: 2,
    targetTopic: 'primary.orders',
    sourceOffset: '100',
    targetOffset: '90',
    kind: 'bounded',
    rereadRecordsMax: '7',
    sourceSeen: true,
  }

  test.each([
    [{}, false, 'orders:2@100 is primary.orders:2@90 (bounded: at most 7 records are read again)'],
    [
      { sourceSeen: false },
      false,
      'orders:2@100 is primary.orders:2@90 (bounded: at most 7 records are read again; the source does not answer)',
    ],
    [{ kind: 'exact' as const }, true, 'primary.orders:2@90 is orders:2@100 (exact)'],
    [
      { kind: 'beyond' as const },
      false,
      'orders:2@100 is primary.orders:2@90 (beyond: not copied yet, the copy ends there)',
    ],
    [
      { kind: 'beyond' as const },
      true,
      'primary.orders:2@90 is orders:2@100 (beyond: the copy ends before, with source offset 100)',
    ],
  ])('an answer with %j, back %j, is one line', (change, isBack, line) => {
    expect(translationText({ ...report, ...change }, isBack)).toBe(line)
  })

  test('the flow is the one that copies the topic, by the name on either side', () => {
    const flows = [
      flowOf({ name: 'orders', topics: ['orders'] }),
      flowOf({ name: 'others', topics: ['/o.*/'], exclude: ['orders'] }),
    ]
    expect(chooseFlow(flows, 'orders', false)).toMatchObject({ topic: 'orders' })
    expect(chooseFlow(flows, 'primary.orders', true).flow.name).toBe('orders')
    expect(chooseFlow(flows, 'orders', true).topic).toBe('orders')
    expect(chooseFlow(flows, 'outlets', false).flow.name).toBe('others')
    expect(() => chooseFlow(flows, 'primary.orders', false)).toThrow('no flow copies a topic')
  })
})
