// Owns what both handlers read at cold start: the configuration, the table, the logger, the
// metrics. A container that cannot read its configuration fails its first invocation with that one
// line, and every one after it.

import { Logger } from '@aws-lambda-powertools/logger'
import { Metrics } from '@aws-lambda-powertools/metrics'
import type { Config, FlowConfig } from '../lib/core/config/config.ts'
import { type Emitter, metricNamespace, metricService } from '../lib/core/monitoring/metric.ts'
import { configPath, loadConfig } from '../lib/io/config/config-file.ts'
import { type Log, structuredLog } from '../lib/io/log.ts'
import { emfSink, type MetricSink } from '../lib/io/metrics.ts'
import { createDynamoDbClient } from '../lib/io/table/dynamodb-client.ts'
import { type OpenFlow, openFlow } from '../lib/run/open-flow.ts'

/**
 * Middy would fail an invocation five milliseconds before its time is up, with a sentence that says
 * nothing, and what was under way would go on in the next invocation's process. Lambda says that it
 * timed out, and ends the process.
 */
export const timeOutByLambda = { timeoutEarlyInMillis: 0 }

export type Runtime = {
  readonly config: Config
  readonly stage: string
  readonly logger: Logger
  readonly log: Log
  readonly metrics: MetricSink
  /** Opened once per container and flow; connections that died while it was frozen are replaced. */
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
      const opened = openFlow({ config, flow, client, table, log })
      flows.set(flow.name, opened)
      return opened
    },
  }
}
