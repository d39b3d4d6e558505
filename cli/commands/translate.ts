// `gapless translate`: says where an offset of the source lies on the standby, or the other way.

import type { Command } from 'commander'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import { selects, sourceTopicName } from '../../lib/core/config/topic-selection.ts'
import type { TranslateReport } from '../../lib/run/operate/report.ts'
import { type PlaceName, placeName } from '../arguments.ts'
import type { CommandLine } from '../command-line.ts'
import { exitCode, UsageError } from '../exit-code.ts'
import { translateOffset } from '../loops.ts'

type Options = { back?: true; json?: true; flow?: string }

export function addTranslateCommand(program: Command, cli: CommandLine): void {
  program
    .command('translate')
    .summary('translate an offset between source and standby')
    .description(
      'Says where a consumer that stands at this offset of the source goes on at the standby: right behind ' +
        'the last record before the offset. Reads records only where counting does not tell.',
    )
    .argument(
      '<topic:partition@offset>',
      'a place of the source, for example commit-log:0@1234; with --back one of the standby',
      placeName,
    )
    .option('--back', 'from the standby to the source; the topic may have either name')
    .option('--json', 'print JSON (docs/CLI.md)')
    .option('--flow <name>', 'the flow; required when several copy the topic')
    .action(
      cli.action(async (context, place: PlaceName, options: Options) => {
        const isBack = options.back === true
        const flows = await context.flows(options.flow ?? null)
        const { flow, topic } = chooseFlow(flows, place.topic, isBack)
        const report = await translateOffset(context, { flow, ...place, topic, isBack })
        context.print(options.json ? JSON.stringify(report) : translationText(report, isBack))
        return exitCode.ok
      }),
    )
}

type Chosen = { readonly flow: FlowConfig; readonly topic: string }

/** The one flow that copies the topic, and the name of the topic at the source. */
export function chooseFlow(flows: readonly FlowConfig[], name: string, isBack: boolean): Chosen {
  const chosen = flows.flatMap((flow): Chosen[] => {
    const there = isBack ? sourceTopicName(flow, name) : null
    const topic = [name, there].find(each => each !== null && selects(flow, each))
    return topic == null ? [] : [{ flow, topic }]
  })
  const [first, ...others] = chosen
  const names = (each: readonly FlowConfig[]) => each.map(flow => flow.name).join(', ')
  if (first === undefined) {
    throw new UsageError(`no flow copies a topic ${name}; looked at: ${names(flows)}`)
  }
  if (others.length === 0) return first
  const several = names(chosen.map(each => each.flow))
  throw new UsageError(`several flows copy topic ${name}, choose one with --flow: ${several}`)
}

export function translationText(report: TranslateReport, isBack: boolean): string {
  const { topic, targetTopic, partition, sourceOffset, targetOffset } = report
  const source = `${topic}:${partition}@${sourceOffset}`
  const target = `${targetTopic}:${partition}@${targetOffset}`
  const [asked, answer] = isBack ? [target, source] : [source, target]
  return `${asked} is ${answer} (${report.kind}${explanation(report, isBack)})`
}

function explanation(
  { kind, rereadRecordsMax, sourceSeen, sourceOffset }: TranslateReport,
  isBack: boolean,
): string {
  switch (kind) {
    case 'exact':
      return ''
    case 'bounded': {
      const why = sourceSeen ? '' : '; the source does not answer'
      return `: at most ${rereadRecordsMax} records are read again${why}`
    }
    case 'beyond':
      return isBack
        ? `: the copy ends before, with source offset ${sourceOffset}`
        : ': not copied yet, the copy ends there'
  }
}
