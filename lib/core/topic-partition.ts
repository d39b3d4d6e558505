// Owns how a partition is named in sentences and in which order partitions are listed. Does not own
// how a partition is named in a command (`topic:partition`, cli/arguments.ts) nor in the table
// (row/checkpoint.ts).

export type TopicPartition = { readonly topic: string; readonly partition: number }

/** A partition that a worker is to run: as `plan` or a predecessor gives it. */
export type AssignedPartition = TopicPartition & {
  /** True when the topic was seen before: then its new partitions start at their log start. */
  readonly topicIsKnown: boolean
}

/** As Kafka writes it. Topic names hold dashes too, so this name is never read back. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

/** For sorting. Not the order of the table's sort keys: there `a-b/` comes before `a/`. */
export function byTopicAndPartition(left: TopicPartition, right: TopicPartition): number {
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1
  return left.partition - right.partition
}
