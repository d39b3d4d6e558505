// One pair of clusters for each version of Kafka, each pair with a DynamoDB Local, and one
// LocalStack, for all tests that stop no broker and change no setting of one. Vitest's global setup
// runs this in its own process, so that the clusters outlive each worker; each part starts when the
// first test file asks for it, because a run of another single file does not need it.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { errorText } from '../../../lib/core/error-text.ts'
import { pinnedKafka } from '../../../localstack/artifacts.ts'
import {
  type Endpoints,
  removeStarted,
  startCluster,
  startLocalStackAws,
  startStandInAws,
} from '../../../localstack/scratch/brokers.ts'
import { fetchChosenBrokers } from '../kafka/chosen-brokers.ts'
import type { FlowWorld } from './flow-fixture.ts'

export type SharedWorld = Omit<FlowWorld, 'table'>

/** What a test file may ask for, and how it is started. */
export type SharedParts = { readonly clusters: SharedWorld; readonly localstack: Endpoints }

declare module 'vitest' {
  export interface ProvidedContext {
    /**
     * Answers a GET of `/` and the name of a part with that part, or with status 500 and the reason
     * why there is none. `?kafka=` and a version: the brokers of the part have that version.
     */
    sharedWorldUrl: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // The environment of the projects reaches their workers, and not this process, which starts
  // brokers.
  Object.assign(process.env, project.config.env)
  await fetchChosenBrokers()
  const server = serveParts({ clusters: startClusters, localstack: startLocalStack })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  project.provide('sharedWorldUrl', `http://127.0.0.1:${port}`)
  return async () => {
    server.close()
    await removeStarted()
  }
}

function serveParts(
  parts: {
    readonly [Name in keyof SharedParts]: (version: string) => Promise<SharedParts[Name]>
  },
): Server {
  const starting = new Map<string, Promise<unknown>>()
  return createServer(async ({ url = '/' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://127.0.0.1')
    const name = pathname.slice(1) as keyof SharedParts
    try {
      const part = starting.get(url) ?? parts[name](searchParams.get('kafka') ?? pinnedKafka)
      starting.set(url, part)
      response.end(JSON.stringify(await part))
    } catch (error) {
      response.writeHead(500).end(errorText(error))
    }
  })
}

async function startClusters(version: string): Promise<SharedWorld> {
  const [source, target, aws] = await Promise.all([
    startCluster('shared-source', { version }),
    startCluster('shared-target', { version }),
    startStandInAws(),
  ])
  return {
    source: { brokers: source.brokers },
    target: { brokers: target.brokers },
    aws: endpointsOf(aws),
  }
}

async function startLocalStack(): Promise<Endpoints> {
  return endpointsOf(await startLocalStackAws())
}

function endpointsOf({ endpoint, env }: Endpoints): Endpoints {
  return { endpoint, env }
}
