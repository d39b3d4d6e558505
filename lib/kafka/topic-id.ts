// Owns the two texts of a topic id (KIP-516): the one people see in `kafka-topics --describe`
// (org.apache.kafka.common.Uuid: base64url without padding, 22 characters) and the hyphenated
// hexadecimal one of the client library. gapless stores and shows the first, so that what it says
// can be searched for.

const UUID_BYTES = 16

/**
 * Kafka's text of a topic id from the client library's; null for the zero id, which means "none".
 */
export function topicIdFromUuid(uuid: string): string | null {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex')
  return bytes.every(byte => byte === 0) ? null : bytes.toString('base64url')
}

/** The client library's text of a topic id. Throws RangeError when `topicId` is not 16 bytes. */
export function uuidFromTopicId(topicId: string): string {
  const bytes = Buffer.from(topicId, 'base64url')
  if (bytes.length !== UUID_BYTES) throw new RangeError(`not a Kafka topic id: ${topicId}`)
  const hex = bytes.toString('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}
