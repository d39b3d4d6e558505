// Owns the only error that a decoder in this folder throws. Bytes that do not fit the protocol are
// no outcome of a request (an outcome is a value with an error code) and no bug of gapless (an
// assertion fails). They mean a broken connection, a broken broker or the wrong version, and the
// whole response is unusable.

export type DecodeFailure = {
  /** The structure that was read: `Fetch`, `Produce`, `RecordBatch`. */
  readonly api: string
  /** Its version: the API version, or the magic byte of a record batch. */
  readonly version: number
  /** The field that does not fit, in the spelling of Kafka's protocol definition. */
  readonly field: string
  /** The byte position of the field, from the start of the response body or of the record data. */
  readonly at: number
  /** The value found and the value expected, in one short clause. */
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
