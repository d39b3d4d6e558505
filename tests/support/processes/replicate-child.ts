// Starts a run of a flow in a separate process that is killed or frozen at a chosen moment.

import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { until } from '../../../localstack/processes/until.ts'
import type { FlowOverrides, SharedFlowFixture } from '../worlds/flow-fixture.ts'
import { markOf, type Order } from './replicate-process.ts'

/** Bounds the wait for a child that reaches neither its moment nor its end. */
const CHILD_MS_MAX = 60_000

export type ChildOrder = Pick<Order, 'moment' | 'nth'> & {
  /** The name of a flow that the test created with the same topics and overrides. */
  readonly flow: string
  readonly topics: readonly string[]
  readonly overrides: FlowOverrides
}

/** Runs the flow until the process is killed. Throws when the run ends before. */
export async function runUntilKilled(world: SharedFlowFixture, order: ChildOrder): Promise<void> {
  const child = startChild(world, order, 'SIGKILL')
  const { signal, output, errors } = await child.ended
  if (signal === 'SIGKILL' && output.trim() === markOf(order)) return
  throw new Error(`the run was not killed at ${order.moment} ${order.nth}: ${output} ${errors}`)
}

/**
 * Runs the flow until the process is frozen; `wake` continues it and resolves with the outcomes of
 * its run.
 */
export async function runUntilFrozen(
  world: SharedFlowFixture,
  order: ChildOrder,
): Promise<{ readonly wake: () => Promise<string[]> }> {
  const { process: child, ended, outputSoFar } = startChild(world, order, 'SIGSTOP')
  const mark = markOf(order)
  await until(`the run wrote: ${mark}`, async () => outputSoFar().includes(mark))
  return {
    wake: async () => {
      child.kill('SIGCONT')
      const { code, signal, output, errors } = await ended
      if (code !== 0)
        throw new Error(`the woken run ended by ${code ?? signal}: ${output} ${errors}`)
      return output.replace(mark, '').trim().split(' ')
    },
  }
}

type Ended = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
  readonly errors: string
}

type StartedChild = {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  readonly outputSoFar: () => string
}

function startChild(
  world: SharedFlowFixture,
  { flow, topics, overrides, ...when }: ChildOrder,
  signal: Order['signal'],
): StartedChild {
  const order: Order = {
    ...when,
    signal,
    config: world.document({ name: flow, topics, ...overrides }),
    table: world.table,
  }
  const script = join(import.meta.dirname, 'replicate-process.ts')
  const child = spawn(process.execPath, [script, JSON.stringify(order)], {
    env: { ...process.env, ...world.aws.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: CHILD_MS_MAX,
    killSignal: 'SIGKILL',
  })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    errors += text
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, by) => resolve({ code, signal: by, output, errors }))
  })
  return { process: child, ended, outputSoFar: () => output }
}
