// Owns the only error a decoder in this folder throws. Bytes from the wire that do not fit the
// protocol are not an outcome Kafka may answer (those are values with an error code) and not our
// bug (an assertion): they mean a broken connection, a broken broker or a version mix-up, and
// nothing of that answer can be used.

export type DecodeFailure = {
  /** Which structure was being read: `Fetch`, `Produce`, `RecordBatch`. */
  readonly api: string
  /** The version of that structure: the API version, or the magic byte of a record batch. */
  readonly version: number
  /** The field that did not fit, in the spelling of Kafka's protocol definition. */
  readonly field: string
  /** The byte position of the field, from the start of the response body or of the record data. */
  readonly at: number
  /** What was expected and what was found, in one short clause. */
  readonly found: string
}

export class DecodeError extends Error {
  override readonly name = 'DecodeError'
  readonly api: string
  readonly version: number
  readonly field: string
  readonly at: number

  constructor(failure: DecodeFailure) {
    const { api, version, field, at, found } = failure
    super(`${api} v${version}: cannot read ${field} at byte ${at}: ${found}`)
    this.api = api
    this.version = version
    this.field = field
    this.at = at
  }
}
