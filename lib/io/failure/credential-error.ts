// Owns the failure to get what proves who we are, a secret or a token: its text is for a person,
// and holds nothing of what was sent or answered.

export class CredentialError extends Error {
  override readonly name = 'CredentialError'
  /** We were refused; otherwise there is nothing to read, or nobody answered: that says nothing. */
  readonly isDenial: boolean

  constructor(message: string, isDenial: boolean) {
    super(message)
    this.isDenial = isDenial
  }
}
