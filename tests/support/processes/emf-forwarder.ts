// Forwards log lines as CloudWatch does in AWS: every line in the embedded metric format becomes
// metric values, under exactly the dimension sets that it names.

import { readFile } from 'node:fs/promises'
import {
  type CloudWatchClient,
  type MetricDatum,
  PutMetricDataCommand,
  type StandardUnit,
} from '@aws-sdk/client-cloudwatch'

type EmfLine = {
  readonly _aws: {
    readonly Timestamp: number
    readonly CloudWatchMetrics: readonly {
      readonly Namespace: string
      readonly Dimensions: readonly (readonly string[])[]
      readonly Metrics: readonly { readonly Name: string; readonly Unit: StandardUnit }[]
    }[]
  }
} & Readonly<Record<string, unknown>>

export type ForwardedValue = {
  readonly name: string
  readonly dimensions: Readonly<Record<string, string>>
  readonly values: readonly number[]
}

/** Sends the metric values of the lines since the last call, and returns them. */
export function createEmfForwarder(client: CloudWatchClient, logFile: string) {
  let linesRead = 0
  return async (): Promise<ForwardedValue[]> => {
    // Without the part after the last line end: that line is still being written.
    const lines = (await readFile(logFile, 'utf8')).split('\n').slice(0, -1)
    const fresh = lines.slice(linesRead).filter(line => line.startsWith('{"_aws":'))
    linesRead = lines.length
    const forwarded: ForwardedValue[] = []
    for (const line of fresh) {
      for (const { namespace, data } of dataOf(JSON.parse(line) as EmfLine)) {
        const command = new PutMetricDataCommand({ Namespace: namespace, MetricData: data })
        await client.send(command)
        forwarded.push(...data.map(forwardedValue))
      }
    }
    return forwarded
  }
}

function dataOf(line: EmfLine): { namespace: string; data: MetricDatum[] }[] {
  const { Timestamp, CloudWatchMetrics } = line._aws
  return CloudWatchMetrics.map(({ Namespace, Dimensions, Metrics }) => ({
    namespace: Namespace,
    data: Dimensions.flatMap(set =>
      Metrics.map(({ Name, Unit }) => ({
        MetricName: Name,
        Unit,
        Timestamp: new Date(Timestamp),
        Dimensions: set.map(name => ({ Name: name, Value: String(line[name]) })),
        Values: [line[Name]].flat() as number[],
      })),
    ),
  }))
}

function forwardedValue({ MetricName, Dimensions, Values }: MetricDatum): ForwardedValue {
  return {
    name: String(MetricName),
    dimensions: Object.fromEntries(
      (Dimensions ?? []).map(({ Name, Value }) => [String(Name), String(Value)]),
    ),
    values: Values ?? [],
  }
}
