// Owns the error for when a run cannot proceed at all, as opposed to what Kafka or DynamoDB may
// well answer about one partition (a value) and to a bug of ours (core/assert.ts). Whoever prints
// it prints `message` and `hint`; `cause` is for the log.

/** Stable literals, for scripts and alarms. */
export type ReplicatorErrorCode =
  /** There is no table of that name at that endpoint. */
  | 'table-missing'
  /** No answer: nothing listens, no such name, time-outs, no region. */
  | 'table-unreachable'
  /** No credentials, or credentials that may not do this. */
  | 'table-denied'
  /** Throttled, or failing inside, for longer than our retries last. */
  | 'table-overloaded'
  /** Any other answer: what stands there is not the table this program writes to. */
  | 'table-refused'
  /** No broker of a cluster answers. */
  | 'cluster-unreachable'
  /** The cluster does not know us, or we may not do this there. */
  | 'cluster-denied'
  /** The cluster answered something else than what was asked for. */
  | 'cluster-refused'
  /** The alert topic did not take a notification. */
  | 'notification-refused'
  /** A partition is not in the state, or does not hold the offset, that a resume needs. */
  | 'resume-refused'

export class ReplicatorError extends Error {
  override readonly name = 'ReplicatorError'
  readonly code: ReplicatorErrorCode
  /** What to run or to check next; a sentence of its own. */
  readonly hint: string

  constructor(input: {
    readonly code: ReplicatorErrorCode
    /** One line that names what was asked of whom, and the answer. */
    readonly message: string
    readonly hint: string
    readonly cause?: unknown
  }) {
    super(input.message, { cause: input.cause })
    this.code = input.code
    this.hint = input.hint
  }
}
