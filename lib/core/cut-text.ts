// Owns cutting a text to a bound in bytes, for receivers that refuse a longer one. A cut text says
// how much is left out.

/** `text` as it is, or its beginning and how many bytes are left out: `bytesMax` bytes in all. */
export function cutText(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= bytesMax) return text
  // The number is at most as long as the one of the whole text.
  const noticeBytesMax = Buffer.byteLength(noticeOf(bytes.length))
  let end = Math.max(0, bytesMax - noticeBytesMax)
  // A character of several bytes is not divided: its later bytes begin with the bits 10.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return `${bytes.subarray(0, end).toString()}${noticeOf(bytes.length - end)}`
}

function noticeOf(leftOutBytes: number): string {
  return `… (${leftOutBytes} bytes left out)`
}
