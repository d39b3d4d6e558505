// Owns the sentence about a group whose offsets a cluster refuses to read or to take, with the
// right to grant. Pure.

export type Refusal = {
  readonly group: string
  readonly cluster: string
  /** `User:gapless`; null where the cluster does not tell who we are. */
  readonly principal: string | null
  readonly errorName: string
}

export function readRefusedText(refusal: Refusal): string {
  const { group, cluster, errorName } = refusal
  if (errorName === 'GROUP_AUTHORIZATION_FAILED') {
    return `GROUP_AUTHORIZATION_FAILED on ${cluster}: grant Describe there: ${grantText(refusal, 'Describe')}`
  }
  return `the offsets of group ${group} cannot be read on ${cluster}: ${errorName}`
}

export function commitRefusedText(refusal: Refusal & { readonly topic: string }): string {
  const { group, cluster, errorName, topic } = refusal
  switch (errorName) {
    case 'GROUP_AUTHORIZATION_FAILED':
      return `GROUP_AUTHORIZATION_FAILED on ${cluster}: grant Read there: ${grantText(refusal, 'Read')}`
    case 'TOPIC_AUTHORIZATION_FAILED':
      return `TOPIC_AUTHORIZATION_FAILED on ${cluster}: grant Read on topic ${topic} there to ${who(refusal)}`
    case 'UNKNOWN_TOPIC_OR_PARTITION':
      return `topic ${topic} does not exist on ${cluster} yet`
    case 'OFFSET_METADATA_TOO_LARGE':
      return `the metadata of its offset is larger than offset.metadata.max.bytes of ${cluster}`
    default:
      return `${cluster} refused the offset of group ${group}: ${errorName}`
  }
}

function grantText({ group, principal }: Refusal, operation: 'Describe' | 'Read'): string {
  const name = principal ?? 'User:NAME'
  return `kafka-acls.sh --add --allow-principal ${name} --operation ${operation} --group '${group}'`
}

function who({ principal }: Refusal): string {
  return principal ?? 'the principal of gapless'
}
