import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { WorkerStore } from './stores.ts'
export function createWorkerStore(_client: DynamoDBClient, _table: string): WorkerStore {
  throw new Error('wip')
}
