// Owns the error of a run that cannot proceed at all. What Kafka or DynamoDB answers about one
// partition is a value instead, and a bug of ours is an assertion (core/assert.ts). `message` and
// `hint` are printed together; `cause` is for the log.

/** Stable literals, for scripts and alarms. */
export type ReplicatorErrorCode =
  /** There is no table of that name at that endpoint. */
  | 'table-missing'
  /** DynamoDB does not answer: nothing listens, no such name, a time-out, no region. */
  | 'table-unreachable'
  /** There are no credentials, or they do not allow this. */
  | 'table-denied'
  /** DynamoDB throttles or fails for longer than our retries last. */
  | 'table-overloaded'
  /** Any other response: this is not the table that gapless writes to. */
  | 'table-refused'
  /** No broker of a cluster answers. */
  | 'cluster-unreachable'
  /** The cluster refused our credentials, or an ACL is missing. */
  | 'cluster-denied'
  /** The cluster refused the operation. */
  | 'cluster-refused'
  /** Source and target of a flow are one and the same cluster. */
  | 'one-cluster'
  /** SNS refused a notification. */
  | 'notification-refused'
  /** No offset of the partition can be translated now. */
  | 'not-translated'
  /** The partition's state allows no resume, or its log lacks the offset to resume at. */
  | 'resume-refused'

export class ReplicatorError extends Error {
  override readonly name = 'ReplicatorError'
  readonly code: ReplicatorErrorCode
  /** What to run or to check next: a complete sentence. */
  readonly hint: string

  constructor(input: {
    readonly code: ReplicatorErrorCode
    /** One line that names the operation, the cluster or table, and the answer. */
    readonly message: string
    readonly hint: string
    readonly cause?: unknown
  }) {
    super(input.message, { cause: input.cause })
    this.code = input.code
    this.hint = input.hint
  }
}
