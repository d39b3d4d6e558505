// The permissions that a request to AWS needs, told from the request itself.

/** A transaction has no action of its own: each of its parts needs its own. */
const partActions: Readonly<Record<string, string>> = {
  ConditionCheck: 'dynamodb:ConditionCheckItem',
  Put: 'dynamodb:PutItem',
  Update: 'dynamodb:UpdateItem',
  Delete: 'dynamodb:DeleteItem',
}

/** @throws Error for a request to a service that no function is known to use. */
export function awsActionsOf(request: {
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
}): string[] {
  const { path, headers, body } = request
  if (/^\/2015-03-31\/functions\/[^/]+\/invocations$/.test(path)) return ['lambda:InvokeFunction']
  if (isPublish(body)) return ['sns:Publish']
  const [api, operation] = String(headers['x-amz-target'] ?? '').split('.')
  if (!api?.startsWith('DynamoDB_') || operation === undefined) {
    throw new Error(`a request that is not known: ${path} ${headers['x-amz-target']}`)
  }
  if (operation !== 'TransactWriteItems') return [`dynamodb:${operation}`]
  const { TransactItems } = JSON.parse(body) as { TransactItems: Record<string, unknown>[] }
  return TransactItems.flatMap(item => Object.keys(item)).map(part => {
    const action = partActions[part]
    if (action === undefined) throw new Error(`a part of a transaction that is not known: ${part}`)
    return action
  })
}

/** To an SNS topic: SNS speaks AWS's query protocol. */
export function isPublish(body: string): boolean {
  return new URLSearchParams(body).get('Action') === 'Publish'
}
