// `gapless produce`: the commit-log producer. It needs neither a configuration nor AWS.

import { type Command, Option } from 'commander'
import { brokerList, topicName, wholeNumber } from '../arguments.ts'
import type { CommandLine } from '../command-line.ts'
import { eventBytesMax, eventBytesMin } from '../commit-log/event.ts'
import type { Pace } from '../commit-log/producer.ts'
import type { Context } from '../context.ts'
import { type ExitCode, exitCode } from '../exit-code.ts'
import { describeFailure, describeStack } from '../failure.ts'
import { listenForInterruption } from '../terminal/interruption.ts'

/** Stays above 100/s also when a send is late. */
const DEFAULT_RATE = 120
const DEFAULT_SIZE_BYTES = 200
const COUNT_MAX = 1_000_000_000
const RATE_MAX = 1_000_000

// kafkajs groups the records of a send by copying: beyond some hundreds per partition the cost
// grows with the square of their number.
const SEND_EVENTS_PER_PARTITION = 500
const SEND_EVENTS_MAX = 5_000
/** Below max.request.size of the Java producer and max.message.bytes of a topic, both 1 MiB. */
const SEND_BYTES_MAX = 512 * 1024

type Options = {
  broker: string[]
  topic: string
  count: number
  rate: number
  size: number
}

export function addProduceCommand(program: Command, cli: CommandLine): void {
  program
    .command('produce')
    .summary('produce JSON events, as a commit log would')
    .description(
      'Produces JSON events {id, timestamp, sequence, padding} with the id as key. All in-sync replicas acknowledge ' +
        'each event, which is written once and in order. Needs no configuration. Ctrl-C finishes the batch in flight.',
    )
    .requiredOption('--broker <host:port>', 'bootstrap brokers, separated by commas', brokerList)
    .requiredOption('--topic <name>', 'an existing topic', topicName)
    .requiredOption('--count <events>', 'number of events', wholeNumber(1, COUNT_MAX))
    .addOption(
      new Option('--rate <events>', 'events per second; 0: as fast as the broker takes them')
        .default(DEFAULT_RATE)
        .argParser(wholeNumber(0, RATE_MAX)),
    )
    .addOption(
      new Option('--size <bytes>', `bytes of one event, ${eventBytesMin} to ${eventBytesMax}`)
        .default(DEFAULT_SIZE_BYTES)
        .argParser(wholeNumber(eventBytesMin, eventBytesMax)),
    )
    .addHelpText(
      'after',
      '\nExample:\n  gapless produce --broker 127.0.0.1:9092 --topic commit-log --count 1000',
    )
    .action(cli.action((context, options: Options) => produce(context, options)))
}

async function produce(context: Context, options: Options): Promise<ExitCode> {
  const { createEventSource } = await import('../commit-log/event.ts')
  const { finalLine, produceEvents } = await import('../commit-log/producer.ts')
  const { openSender } = await import('../commit-log/sender.ts')
  const { createProgress } = await import('../terminal/progress.ts')
  const { systemClock } = await import('../../lib/io/clock.ts')
  const nowMs = () => performance.now()
  const { note } = context
  const progress = createProgress({ total: options.count, output: process.stderr, note, nowMs })
  const interruption = listenForInterruption(
    'Stopping after the batch in flight; Ctrl-C again to stop at once.',
    progress.note,
  )
  const sender = await openSender({ brokers: options.broker, topic: options.topic })
  progress.start()
  const result = await produceEvents({
    pace: paceOf(options, sender.partitions),
    take: createEventSource(options.size, () => Date.now()).take,
    send: sender.send,
    stop: interruption.signal,
    onSent: progress.update,
    nowMs,
    wait: systemClock.wait,
  })
  progress.stop()
  context.print(finalLine(result))
  await sender.close()
  interruption.end()
  if (result.error !== null) {
    const { lines } = describeFailure(result.error)
    for (const line of [...lines, ...describeStack(result.error, context.env.GAPLESS_DEBUG)]) {
      context.note(line)
    }
    return exitCode.failed
  }
  return result.sent < options.count ? exitCode.interrupted : exitCode.ok
}

function paceOf({ count, rate, size }: Options, partitions: number): Pace {
  const byCount = Math.min(SEND_EVENTS_MAX, SEND_EVENTS_PER_PARTITION * partitions)
  const byBytes = Math.floor(SEND_BYTES_MAX / size)
  return { count, rate, sendEventsMax: Math.max(1, Math.min(byCount, byBytes)) }
}
