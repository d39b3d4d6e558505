// `gapless topics`: lists the topics of both clusters.

import type { Command } from 'commander'
import type { TopicReport, TopicsReport } from '../../lib/run/operate/report.ts'
import type { CommandLine } from '../command-line.ts'
import type { Context } from '../context.ts'
import { exitCode } from '../exit-code.ts'

type Options = { json?: true; cluster?: string; internal?: true }
type ClusterTopics = TopicsReport['clusters'][number]

export function addTopicsCommand(program: Command, cli: CommandLine): void {
  program
    .command('topics')
    .summary('list the topics of both clusters')
    .description(
      'Lists the topics of every configured cluster, with their topic ids and the offsets they span.',
    )
    .option('--json', 'print JSON (docs/CLI.md)')
    .option('--cluster <name>', 'only this cluster')
    .option('--internal', "include Kafka's internal topics")
    .action(
      cli.action(async (context, options: Options) => {
        const { clusters } = await context.config()
        const names = options.cluster === undefined ? Object.keys(clusters) : [options.cluster]
        const internal = options.internal === true
        const listed = await Promise.all(names.map(name => listOne(context, name, internal)))
        const report: TopicsReport = { clusters: listed }
        context.print(options.json ? JSON.stringify(report) : await renderTopics(report))
        for (const { name, error } of listed) {
          if (error !== null) context.note(`error: Cluster ${name}: ${error}`)
        }
        return listed.some(({ error }) => error !== null) ? exitCode.failed : exitCode.ok
      }),
    )
}

/** A cluster that does not answer must not hide the other one. */
async function listOne(context: Context, name: string, internal: boolean): Promise<ClusterTopics> {
  const { listTopics } = await import('../topic-listing.ts')
  const cluster = await context.cluster(name)
  try {
    const { topics, problems } = await listTopics(cluster, { names: null, internal })
    return { name, topics, error: problems.length === 0 ? null : problems.join('; ') }
  } catch (error) {
    if (error instanceof Error && error.name === 'BrokerFailure') {
      return { name, topics: [], error: error.message }
    }
    throw error
  }
}

export async function renderTopics({ clusters }: TopicsReport): Promise<string> {
  const { renderTable } = await import('../terminal/table.ts')
  const sections = clusters.map(({ name, topics, error }) => {
    if (topics.length === 0) return `${name}: ${error === null ? 'no topics' : 'unknown'}`
    const table = renderTable<TopicReport>(
      [
        { head: 'TOPIC', cell: each => each.name },
        { head: 'PARTITIONS', align: 'right', cell: each => String(each.partitions.length) },
        { head: 'OFFSETS', align: 'right', cell: offsetsText },
        { head: 'TOPIC ID', cell: each => each.topicId },
      ],
      topics,
    )
    return `${name}\n${table}`
  })
  return sections.join('\n\n')
}

/**
 * The offsets from log start to log end of all partitions: records, holes and control batches. Null
 * when an offset of a partition is unknown.
 */
function offsetsText({ partitions }: TopicReport): string | null {
  let sum = 0n
  for (const { logStartOffset, logEndOffset } of partitions) {
    if (logStartOffset === null || logEndOffset === null) return null
    sum += BigInt(logEndOffset) - BigInt(logStartOffset)
  }
  return String(sum)
}
