// Owns gapless as a contender: the bundled `replicate` handler in a process with the heap of its
// Lambda function, on the work of a tick. The tick itself runs here, before the process starts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, rmSync } from 'node:fs'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import type { ShardEvent } from '../../../functions/replicate.ts'
import { bundleFunctions } from '../../../infra/bundle.ts'
import { parseConfig } from '../../../lib/core/config/config.ts'
import type { Policies } from '../../../lib/core/config/defaults.ts'
import type { Incident } from '../../../lib/core/incident.ts'
import { createDynamoDbClient } from '../../../lib/io/table/dynamodb-client.ts'
import { createIncidentStore } from '../../../lib/io/table/incident-store.ts'
import { createTable } from '../../../lib/io/table/table.ts'
import { createWorkerStore } from '../../../lib/io/table/worker-store.ts'
import { openFlow } from '../../../lib/run/open-flow.ts'
import { planFlow, workOf } from '../../../lib/run/plan/plan.ts'
import type { StandInAws } from '../../../localstack/scratch/brokers.ts'
import { machineMs, waitMs } from '../../part.ts'
import type { ContenderName } from '../results/results.ts'
import type { Contender, Job } from './contender.ts'
import type { HostOrder } from './handler-host.ts'

const table = 'bench'
const flowName = 'bench'
/** The default of infra/functions.yml. */
const FUNCTION_TIMEOUT_MS = 900_000
const TICKS_MAX = 60
const TICK_MS = 500

/** Creates the table that all runs of gapless share. Called once per scene. */
export async function prepareTable(aws: StandInAws): Promise<void> {
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  client.destroy()
}

/** `memoryMb`: the memory size of the Lambda function. */
export function gapless(input: {
  readonly name: ContenderName
  readonly memoryMb: number
  readonly aws: StandInAws
  /** Settings of the flow that differ from the defaults. */
  readonly flow?: Partial<Policies>
  /** Flags of Node beyond those of Lambda's start script, for profiling. */
  readonly nodeFlags?: readonly string[]
}): Contender {
  const { name, memoryMb, aws, flow = {}, nodeFlags = [] } = input
  return {
    name,
    memoryMaxMb: memoryMb,
    async start(job) {
      const bundle = await bundleOnce()
      const config = configFor(job, flow)
      const path = join(job.dir, 'gapless.yml')
      await writeFile(path, JSON.stringify(config))
      const event = await planWork(config, aws, job)
      const order: HostOrder = {
        module: join(bundle, 'replicate.mjs'),
        event,
        timeoutMs: FUNCTION_TIMEOUT_MS,
      }
      const flags = [...flagsOf(memoryMb), ...nodeFlags]
      const args = [...flags, join(bundle, 'handler-host.mjs'), JSON.stringify(order)]
      const logFile = join(job.dir, 'gapless.log')
      const log = openSync(logFile, 'a')
      const startedAtMs = machineMs()
      const child = spawn(process.execPath, args, {
        // The handler gets no environment of this process: a sandbox has only the variables of
        // Lambda and the template.
        env: {
          PATH: dirname(process.execPath),
          AWS_LAMBDA_FUNCTION_NAME: 'replicate',
          AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
          ...aws.env,
          GAPLESS_CONFIG: path,
          GAPLESS_TABLE: table,
        },
        stdio: ['ignore', log, log],
      })
      closeSync(log)
      const exited = once(child, 'exit')
      const failed = exited.then(async ([code, signal]) => {
        if (code === 0 || signal === 'SIGKILL') return new Promise<never>(() => undefined)
        const said = await readFile(logFile, 'utf8')
        throw new Error(`${name} ended with ${code ?? signal}: ${said}`)
      })
      failed.catch(() => undefined)
      return {
        pid: child.pid ?? 0,
        startedAtMs,
        kill: async () => {
          child.kill('SIGKILL')
          await exited
        },
        failed,
      }
    },
  }
}

/** The heap that the start script of AWS's Node images gives a function of this size. */
function flagsOf(memoryMb: number): string[] {
  const newSpaceMb = Math.floor(memoryMb / 10)
  return [
    '--expose-gc',
    `--max-semi-space-size=${Math.floor(newSpaceMb / 2)}`,
    `--max-old-space-size=${memoryMb - newSpaceMb}`,
  ]
}

export function flowNameOf({ route }: Pick<Job, 'route'>): string {
  return `${flowName}-${route}`
}

/** The stored incidents of a run, in order of detection. */
export async function listIncidents(aws: StandInAws, job: Job): Promise<readonly Incident[]> {
  const client = createDynamoDbClient(aws.env)
  try {
    const { incidents } = await createIncidentStore(client, table).list(flowNameOf(job), 'all')
    return incidents.toSorted((left, right) => left.detectedAtMs - right.detectedAtMs)
  } finally {
    client.destroy()
  }
}

/** What `plan` does when Lambda tells it that the invocation of a worker failed. */
export async function endWorkers(aws: StandInAws, job: Job): Promise<void> {
  const client = createDynamoDbClient(aws.env)
  try {
    const store = createWorkerStore(client, table)
    const flow = flowNameOf(job)
    const { workers } = await store.list(flow)
    for (const { worker } of workers) {
      await store.declareEnded({ flow, worker, nowMs: Date.now(), when: 'in-any-case' })
    }
  } finally {
    client.destroy()
  }
}

function configFor(job: Job, flow: Partial<Policies>) {
  const { sourceBrokers, targetBrokers, route, topic, follows } = job
  return {
    clusters: {
      [route]: { brokers: sourceBrokers.split(',') },
      standby: { brokers: targetBrokers.split(',') },
    },
    flows: [
      {
        ...flow,
        name: flowNameOf(job),
        from: route,
        to: 'standby',
        topics: [topic],
        mode: follows ? 'continuous' : 'batch',
      },
    ],
  }
}

/** Runs ticks until every partition has work: standby topics take a moment to appear. */
async function planWork(
  document: unknown,
  aws: StandInAws,
  { partitions, follows }: Job,
): Promise<ShardEvent> {
  const parsed = parseConfig(document)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const [flow] = parsed.config.flows
  if (flow === undefined) throw new Error('no flow in the configuration')
  const client = createDynamoDbClient(aws.env)
  const opened = openFlow({ config: parsed.config, flow, client, table, log: () => undefined })
  try {
    for (let tick = 0; tick < TICKS_MAX; tick += 1) {
      const plan = await planFlow(opened.deps, flow)
      const work = workOf(plan, follows ? 'continuous' : 'batch')
      if (work.length === partitions) {
        const named = work.map(({ topic, partition, topicIsKnown }) => {
          return { topic, partition, topicIsKnown }
        })
        return { flow: flow.name, partitions: named }
      }
      await waitMs(TICK_MS)
    }
  } finally {
    await opened.close()
    client.destroy()
  }
  throw new Error(`flow ${flow.name} has not ${partitions} partitions with work`)
}

let bundled: Promise<string> | null = null

function bundleOnce(): Promise<string> {
  bundled ??= (async () => {
    const directory = await mkdtemp(join(tmpdir(), 'gapless-bundle-'))
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
    await bundleFunctions(directory)
    await build({
      entryPoints: [join(import.meta.dirname, 'handler-host.ts')],
      outfile: join(directory, 'handler-host.mjs'),
      format: 'esm',
      platform: 'node',
      logLevel: 'silent',
    })
    return directory
  })()
  return bundled
}
