// Owns how a partition is named in sentences and in which order partitions are listed. Does not own
// how a partition is named in a command (`topic:partition`, cli/arguments.ts) nor in the table
// (row/checkpoint.ts).

export type TopicPartition = { readonly topic: string; readonly partition: number }

/** As Kafka writes it. Topic names hold dashes too, so this name is never read back. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

/** For sorting. Not the order of the table's sort keys: there `a-b/` comes before `a/`. */
export function byTopicAndPartition(left: TopicPartition, right: TopicPartition): number {
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1
  return left.partition - right.partition
}
