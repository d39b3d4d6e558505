// Owns how an address that a person gave is printed: without the parts in which secrets are
// written, user information and query. Such texts go from errors into logs, incidents and mails.

const MASK = '***'

/** The text with `***` in place of user information and query of every address in it. */
export function redactUrls(text: string): string {
  return text.replace(/[^\s"'()<>]+/g, redactWord)
}

/** Everything before the last `@` goes: a password may hold the characters that end a host. */
function redactWord(word: string): string {
  const scheme = word.indexOf('://')
  const start = scheme < 0 ? 0 : scheme + '://'.length
  const at = word.lastIndexOf('@')
  const before = word.slice(0, start)
  const rest = at < start ? word.slice(start) : `${MASK}${word.slice(at)}`
  const query = scheme < 0 ? -1 : rest.search(/[?#]/)
  return `${before}${query < 0 ? rest : `${rest.slice(0, query)}?${MASK}`}`
}
