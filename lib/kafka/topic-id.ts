// Owns the two texts of a topic id (KIP-516): the one that `kafka-topics --describe` prints
// (org.apache.kafka.common.Uuid: base64url without padding, 22 characters) and the hyphenated
// hexadecimal one of the client library. gapless stores and prints the first, so that an operator
// can search for it in Kafka's own output.

const UUID_BYTES = 16

/** Returns Kafka's text of a topic id; null for the zero id, which means that there is none. */
export function topicIdFromUuid(uuid: string): string | null {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex')
  return bytes.every(byte => byte === 0) ? null : bytes.toString('base64url')
}

/** Returns the client library's text. Throws RangeError when `topicId` does not encode 16 bytes. */
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
