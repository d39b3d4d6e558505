// Owns what the handlers load at cold start: the configuration, the table, the logger and the
// metrics; and a tick of those that only look at each flow or follow it. A container that cannot
// read its configuration fails every invocation with the lines that name the problems.

import { Logger } from '@aws-lambda-powertools/logger'
import { Metrics } from '@aws-lambda-powertools/metrics'
import type { Config, FlowConfig } from '../lib/core/config/config.ts'
import { errorText } from '../lib/core/error-text.ts'
import { type Emitter, metricNamespace, metricService } from '../lib/core/monitoring/metric.ts'
import { systemClock } from '../lib/io/clock.ts'
import { configPath, loadConfig } from '../lib/io/config/config-file.ts'
import { type Log, structuredLog } from '../lib/io/log.ts'
import { emfSink, type MetricSink } from '../lib/io/metrics.ts'
import { createDynamoDbClient } from '../lib/io/table/dynamodb-client.ts'
import { eachFlow } from '../lib/run/each-flow.ts'
import { type OpenFlow, openFlow } from '../lib/run/open-flow.ts'

/**
 * Middy would fail an invocation five milliseconds before its timeout with an error that does not
 * name the timeout, and unfinished work would go on in the next invocation of the same process.
 * Lambda reports the timeout itself, and ends the process.
 */
export const timeOutByLambda = { timeoutEarlyInMillis: 0 }

export type Runtime = {
  readonly config: Config
  readonly stage: string
  readonly logger: Logger
  readonly log: Log
  readonly metrics: MetricSink
  /** Opens a flow once per container; connections that died in a frozen container are replaced. */
  open(flow: FlowConfig): OpenFlow
}

export async function startRuntime(env: NodeJS.ProcessEnv, emitter: Emitter): Promise<Runtime> {
  const config = await loadConfig(configPath(env), env)
  const logger = new Logger({ serviceName: metricService })
  const stage = env.GAPLESS_STAGE ?? 'local'
  const metrics = new Metrics({
    namespace: metricNamespace,
    serviceName: metricService,
    defaultDimensions: { stage },
  })
  const log = structuredLog({
    critical: text => logger.critical(text),
    error: text => logger.error(text),
    warn: text => logger.warn(text),
    info: text => logger.info(text),
  })
  const client = createDynamoDbClient(env)
  const table = env.GAPLESS_TABLE || 'gapless'
  const flows = new Map<string, OpenFlow>()
  return {
    config,
    stage,
    logger,
    log,
    metrics: emfSink(metrics, emitter),
    open(flow) {
      const known = flows.get(flow.name)
      if (known !== undefined) return known
      const as = emitter === 'watch' ? { as: emitter } : {}
      const opened = openFlow({ config, flow, client, table, log, ...as })
      flows.set(flow.name, opened)
      return opened
    },
  }
}

/**
 * One tick: `work` for every flow, side by side, and the heartbeat at its end. A flow that fails
 * keeps no other one from its turn; the tick throws what failed once all have ended.
 */
export async function tickEach<T>(
  { config, metrics }: Pick<Runtime, 'config' | 'metrics'>,
  work: (flow: FlowConfig) => Promise<T>,
): Promise<T[]> {
  const done: T[] = []
  const failures: string[] = []
  const outcomes = await eachFlow(config.flows, systemClock, (flow, inTime) => inTime(work(flow)))
  for (const outcome of outcomes) {
    if (outcome.kind === 'done') {
      done.push(outcome.value)
      continue
    }
    failures.push(`flow ${outcome.flow.name}: ${errorText(outcome.error)}`)
    metrics.flow(outcome.flow.name, { Errors: 1 })
  }
  metrics.heartbeat()
  if (failures.length > 0) throw new Error(failures.join('; '))
  return done
}
