// `gapless audit`: compares source and standby record by record, and accounts for every offset.

import type { Command } from 'commander'
import { differencesIn } from '../../lib/core/audit/report.ts'
import { time, topicName, wholeNumber } from '../arguments.ts'
import type { CommandLine } from '../command-line.ts'
import type { Context } from '../context.ts'
import { type ExitCode, exitCode, UsageError } from '../exit-code.ts'
import { listenForInterruption } from '../terminal/interruption.ts'
import type { AuditOptions, AuditReport } from './run-audit.ts'

type Options = {
  flow?: string
  topic?: string
  source?: string
  target?: string
  full?: true
  sample?: number
  since?: number
  deep?: true
  bytesPerSecond?: number
  state?: string
  out?: string
  json?: true
}

export function addAuditCommand(program: Command, cli: CommandLine): void {
  program
    .command('audit')
    .summary('compare source and standby record by record')
    .description(
      'Reads both logs, compares key, value, headers, timestamp, order and (where they are kept) offsets, and accounts ' +
        'for every source offset. Writes to no cluster. Exit code 4 when anything differs, 1 when something could not be ' +
        'compared (docs/AUDIT.md).',
    )
    .option('--flow <name>', 'only this flow')
    .option(
      '--topic <topic>',
      'only this topic of the source; with --source: SOURCE-TOPIC:TARGET-TOPIC',
    )
    .option('--full', 'both logs from their beginning to their end (the default)')
    .option('--sample <offsets>', 'so many offsets of each partition', wholeNumber(1, 10 ** 12))
    .option('--since <time>', 'records from this time on', time)
    .option('--deep', 'open batches that are equal byte for byte, too')
    .option('--bytes-per-second <bytes>', 'read no more than this', wholeNumber(1_024, 10 ** 12))
    .option('--state <file>', 'keep there how far it is, and go on there')
    .option('--out <file>', 'write the whole report there')
    .option('--json', 'print JSON (docs/CLI.md)')
    .option(
      '--source <cluster>',
      'compare two topics that gapless did not copy: the cluster of the first',
    )
    .option('--target <cluster>', 'the cluster of the second')
    .action(
      cli.action(async (context, options: Options) => {
        const asked = await askedOf(context, options)
        const interruption = listenForInterruption(
          'Stopping; with --state the same command goes on here. Ctrl-C again to stop at once.',
          context.note,
        )
        const { runAudit } = await import('./run-audit.ts')
        const report = await runAudit(context, asked, interruption.signal)
        interruption.end()
        const { renderAudit, auditLines } = await import('./audit-text.ts')
        context.print(options.json ? JSON.stringify(report) : await renderAudit(report))
        for (const line of auditLines(report)) context.note(line)
        return interruption.signal.aborted ? exitCode.interrupted : auditExitCode(report)
      }),
    )
}

async function askedOf(context: Context, options: Options): Promise<AuditOptions> {
  const { sample, since, topic } = options
  if ([options.full, sample, since].filter(each => each !== undefined).length > 1) {
    throw new UsageError('of --full, --sample and --since only one can be given')
  }
  const common = {
    isDeep: options.deep === true,
    bytesPerSecond: options.bytesPerSecond ?? null,
    statePath: options.state ?? null,
    outPath: options.out ?? null,
  }
  const { source, target } = options
  if (source !== undefined || target !== undefined) {
    if (source === undefined || target === undefined || topic === undefined) {
      throw new UsageError(
        '--source and --target are given together, with --topic SOURCE-TOPIC:TARGET-TOPIC',
      )
    }
    if (sample !== undefined || since !== undefined || options.flow !== undefined) {
      throw new UsageError(
        'two topics that gapless did not copy are compared as a whole, and belong to no flow',
      )
    }
    const [sourceTopic = '', targetTopic = sourceTopic] = topic.split(':')
    const topics = { sourceTopic: topicName(sourceTopic), targetTopic: topicName(targetTopic) }
    return { ...common, what: { kind: 'pair', source, target, ...topics } }
  }
  const flows = await context.flows(options.flow ?? null)
  const range =
    sample !== undefined
      ? { kind: 'sample' as const, offsets: BigInt(sample), seed: Date.now() % 2 ** 32 }
      : since !== undefined
        ? { kind: 'since' as const, timeMs: since }
        : { kind: 'full' as const }
  return { ...common, what: { kind: 'flows', flows, topic: topic ?? null, range } }
}

/** A difference outranks all else: it is certain. */
export function auditExitCode({ flows }: Pick<AuditReport, 'flows'>): ExitCode {
  if (flows.some(flow => differencesIn(flow) > 0)) return exitCode.differs
  const isIncomplete = flows.some(
    ({ unobserved, partitions }) =>
      unobserved.length > 0 || partitions.some(each => each.problem !== null),
  )
  return isIncomplete ? exitCode.failed : exitCode.ok
}
