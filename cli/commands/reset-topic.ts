// `gapless reset-topic`: deletes and recreates a topic, for drills. Asks first, because deleted
// records cannot be restored.

import type { Command } from 'commander'
import type { TopicReport } from '../../lib/run/operate/report.ts'
import { topicName, wholeNumber } from '../arguments.ts'
import type { CommandLine } from '../command-line.ts'
import type { Context } from '../context.ts'
import { exitCode, UsageError } from '../exit-code.ts'

const DEFAULT_CLUSTER = 'primary'

/** A Kafka controller creates as many partitions in one request. */
const PARTITIONS_MAX = 10_000

type Options = { cluster: string; yes?: true; partitions?: number }

export function addResetTopicCommand(program: Command, cli: CommandLine): void {
  program
    .command('reset-topic')
    .summary('delete and recreate a topic, for drills')
    .description(
      'Deletes a topic with all its records and creates it again, with its configs and partition count, so ' +
        'that it has a new topic id. Replication detects this as a topic reset: use it for drills.',
    )
    .argument('<topic>', 'the topic', topicName)
    .option('--cluster <name>', 'the cluster of the topic', DEFAULT_CLUSTER)
    .option('--partitions <count>', 'another number of partitions', wholeNumber(1, PARTITIONS_MAX))
    .option('--yes', 'delete without asking')
    .action(
      cli.action(async (context, topic: string, options: Options) => {
        refuseWrongUsage(topic, options)
        const cluster = await context.cluster(options.cluster)
        const { describeOne, notThere, resetTopic } = await import('../topic-reset.ts')
        const before = await describeOne(cluster, topic)
        if (before.kind !== 'exists') throw notThere(cluster, before)
        if (!options.yes && !(await confirmed(context, options.cluster, topic))) {
          context.note('Nothing was done.')
          return exitCode.failed
        }
        const admin = await context.topicAdmin(options.cluster)
        const partitions = options.partitions ?? null
        const reset = await resetTopic({ cluster, admin, topic, partitions })
        const configs = Object.entries(reset.configs).map(([key, value]) => `${key}=${value}`)
        context.print(
          `Topic ${topic} on ${options.cluster} was recreated: topic id ${reset.previousTopicId} is now ` +
            `${reset.topicId}, partitions: ${reset.partitions}, configs kept: ${configs.join(', ') || 'none'}.`,
        )
        return exitCode.ok
      }),
    )
}

function refuseWrongUsage(topic: string, options: Options): void {
  if (topic.startsWith('__')) {
    throw new UsageError(
      `${topic} is one of Kafka's internal topics: a cluster does not survive its reset`,
    )
  }
  if (!options.yes && process.stdin.isTTY !== true) {
    throw new UsageError(
      'reset-topic asks before it deletes, and there is no terminal to ask at: add --yes to delete without asking',
    )
  }
}

async function confirmed(context: Context, cluster: string, topic: string): Promise<boolean> {
  const { default: confirm } = await import('@inquirer/confirm')
  const { listTopics } = await import('../topic-listing.ts')
  const { topics } = await listTopics(await context.cluster(cluster), {
    names: [topic],
    internal: false,
  })
  const { brokers } = (await context.config()).clusters[cluster] ?? { brokers: [] }
  const message =
    `Delete topic ${topic} on ${cluster} (${brokers.join(', ')}) with its ${recordsText(topics[0])}, and ` +
    'create it again, empty?'
  return confirm({ message, default: false }, { output: process.stderr })
}

function recordsText(topic: TopicReport | undefined): string {
  let sum = 0n
  for (const { logStartOffset, logEndOffset } of topic?.partitions ?? []) {
    if (logStartOffset === null || logEndOffset === null) return 'records'
    sum += BigInt(logEndOffset) - BigInt(logStartOffset)
  }
  return `${sum} records`
}
