// One pair of clusters and one DynamoDB Local for all integration tests that stop no broker and
// change no setting of one. Vitest's global setup runs this in its own process, so that the
// clusters outlive each worker; they start when the first test file asks for them, because a run of
// another single file does not need them.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { errorText } from '../../../lib/core/error-text.ts'
import {
  removeStarted,
  startCluster,
  startStandInAws,
} from '../../../localstack/scratch/brokers.ts'
import type { FlowWorld } from './flow-fixture.ts'

export type SharedWorld = Omit<FlowWorld, 'table'>

declare module 'vitest' {
  export interface ProvidedContext {
    /** Answers a GET with a `SharedWorld`, or with status 500 and the reason why there is none. */
    sharedWorldUrl: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // The environment of the project reaches its workers, and not this process, which starts brokers.
  Object.assign(process.env, project.config.env)
  const server = serveWorld()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  project.provide('sharedWorldUrl', `http://127.0.0.1:${port}`)
  return async () => {
    server.close()
    await removeStarted()
  }
}

function serveWorld(): Server {
  let starting: Promise<SharedWorld> | null = null
  return createServer(async (_, response) => {
    try {
      starting ??= startWorld()
      response.end(JSON.stringify(await starting))
    } catch (error) {
      response.writeHead(500).end(errorText(error))
    }
  })
}

async function startWorld(): Promise<SharedWorld> {
  const [source, target, aws] = await Promise.all([
    startCluster('shared-source'),
    startCluster('shared-target'),
    startStandInAws(),
  ])
  return {
    source: { brokers: source.brokers },
    target: { brokers: target.brokers },
    aws: { endpoint: aws.endpoint, env: aws.env },
  }
}
