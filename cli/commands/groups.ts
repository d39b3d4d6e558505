// `gapless groups` and `gapless sync`: where the consumer groups of a flow stand on the standby.
// The first only looks; the second performs one tick of the sync function before.

import type { Command } from 'commander'
import type {
  FlowGroupsReport,
  GroupReport,
  GroupsReport,
} from '../../lib/run/operate/groups-report.ts'
import type { CommandLine } from '../command-line.ts'
import { type ExitCode, exitCode } from '../exit-code.ts'
import { syncFlows } from '../loops.ts'

type Options = { json?: true; flow?: string }

export function addGroupsCommand(program: Command, cli: CommandLine): void {
  program
    .command('groups')
    .summary('show where consumer groups would go on at the standby')
    .description(
      'Shows for each consumer group and partition the offset on both sides, and what the group would read ' +
        'again or miss if it moved now. Writes nothing. Exit code 1 when a group does not follow.',
    )
    .option('--json', 'print JSON (docs/CLI.md)')
    .option('--flow <name>', 'only this flow')
    .action(
      cli.action(async (context, options: Options) => {
        const flows = await context.flows(options.flow ?? null)
        const report = await syncFlows(context, flows, { mayCommit: false })
        return print(context, report, options)
      }),
    )
}

export function addSyncCommand(program: Command, cli: CommandLine): void {
  program
    .command('sync')
    .summary('carry offsets of groups, topic configs and ACLs to the standby, once')
    .description(
      'One tick of the sync function in this process; then as `gapless groups`, and what was done about topic ' +
        'configs, deletions, ACLs and heartbeats. Safe beside the function: of two ticks at once, one commits.',
    )
    .option('--json', 'print JSON (docs/CLI.md)')
    .option('--flow <name>', 'only this flow')
    .action(
      cli.action(async (context, options: Options) => {
        const flows = await context.flows(options.flow ?? null)
        const report = await syncFlows(context, flows, { mayCommit: true })
        return print(context, report, options)
      }),
    )
}

type Output = { print(line: string): void; note(line: string): void }

async function print(output: Output, report: GroupsReport, { json }: Options): Promise<ExitCode> {
  output.print(json ? JSON.stringify(report) : await renderGroups(report))
  for (const { name, follows } of json ? [] : report.flows) {
    for (const line of followsLines(follows)) output.note(`${name}: ${line}`)
  }
  for (const { name, unobserved } of report.flows) {
    for (const what of unobserved) output.note(`error: ${name}: cannot observe ${what}`)
  }
  return groupsExitCode(report)
}

/** What was done and what is left besides the groups, one line each. */
function followsLines(follows: FlowGroupsReport['follows']): string[] {
  if (follows === undefined) return []
  const { configs, deletions, acls, heartbeat } = follows
  const because = (reason: string | null) => (reason === null ? '' : `: ${reason}`)
  const reason = heartbeat?.reason ?? null
  return [
    ...follows.unknown.map(each => `not compared: ${each}`),
    ...configs.map(({ outcome, targetTopic, config, from, to, reason: why }) => {
      const value = to === null ? `removed (${from})` : `${from} to ${to}`
      return `config ${outcome}: ${targetTopic} ${config} ${value}${because(why)}`
    }),
    ...deletions.map(each => {
      return `topic ${each.outcome}: ${each.targetTopic}${because(each.reason)}${offsetsText(each)}`
    }),
    ...acls.map(each => `ACL ${each.outcome}: ${each.acl}${because(each.reason)}`),
    ...follows.notCopied,
    ...(reason === null ? [] : [reason]),
  ]
}

function offsetsText(deletion: {
  readonly groupOffsets: readonly { group: string; partition: number; offset: string }[]
  readonly groupOffsetsCount: number
}): string {
  const { groupOffsets, groupOffsetsCount: count } = deletion
  if (count === 0) return ''
  const named = groupOffsets.map(each => `${each.group}:${each.partition}@${each.offset}`)
  const rest = count > named.length ? `, and ${count - named.length} more` : ''
  return `; committed offsets of groups that went with it: ${named.join(', ')}${rest}`
}

export function groupsExitCode({ flows }: GroupsReport): ExitCode {
  const isWell = flows.every(
    ({ groups, unobserved }) => unobserved.length === 0 && !groups.some(isBehind),
  )
  return isWell ? exitCode.ok : exitCode.failed
}

function isBehind({ state }: GroupReport): boolean {
  return state === 'moved' || state === 'not-synced'
}

export async function renderGroups({ flows }: GroupsReport): Promise<string> {
  const { renderTable } = await import('../terminal/table.ts')
  const sections = flows.map(flow => {
    const summary = `${flow.name}: ${summarize(flow)}`
    if (flow.groups.length === 0) return summary
    const table = renderTable<GroupReport>(
      [
        { head: 'GROUP', cell: each => each.group },
        { head: 'TYPE', cell: each => each.type },
        { head: 'PARTITION', cell: partitionText },
        { head: 'STATE', cell: each => each.state },
        { head: 'SOURCE', align: 'right', cell: each => each.sourceOffset },
        { head: 'STANDBY', align: 'right', cell: each => each.standbyOffset },
        { head: 'READ AGAIN', align: 'right', cell: each => each.recordsReread },
        { head: 'MISSING', align: 'right', cell: each => each.recordsMissing },
      ],
      flow.groups,
    )
    return [summary, table, ...reasonLines(flow.groups)].join('\n')
  })
  return sections.join('\n\n')
}

function partitionText({ topic, partition }: GroupReport): string | null {
  return topic === null ? null : `${topic}:${partition}`
}

/** One line for each group and reason, below the table, where a long one does not widen it. */
function reasonLines(groups: readonly GroupReport[]): string[] {
  const lines = groups.flatMap(({ group, state, reason }) =>
    reason === null ? [] : [`${group}: ${state}, ${reason}`],
  )
  return [...new Set(lines)]
}

function summarize({ groups, unobserved }: FlowGroupsReport): string {
  if (groups.length === 0) {
    return unobserved.length > 0
      ? 'unknown'
      : 'no consumer group has committed an offset, or may be described'
  }
  const names = new Set(groups.map(each => each.group))
  const counts = [...Map.groupBy(groups, each => each.state)]
    .map(([state, each]) => `${each.length} ${state}`)
    .join(', ')
  return `${names.size} ${names.size === 1 ? 'group' : 'groups'}; partitions: ${counts}`
}
