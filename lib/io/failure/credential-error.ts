// Owns the failure to obtain credentials, a secret or a token. Its text is for a person and
// contains nothing of the request or the response.

export class CredentialError extends Error {
  override readonly name = 'CredentialError'
  /** True when we were refused; false when there is nothing to read, or no answer came. */
  readonly isDenial: boolean

  constructor(message: string, isDenial: boolean) {
    super(message)
    this.isDenial = isDenial
  }
}
