// Owns the rows of a table in memory, by their keys. Does not own the requests
// (memory-dynamodb.ts).

import type { Row, StoredRow } from '../../../lib/core/row/row.ts'

export type Rows = ReturnType<typeof createRows>

export function createRows() {
  const rows = new Map<string, StoredRow>()
  const keyOf = ({ pk, sk }: StoredRow) => JSON.stringify([pk?.S, sk?.S])
  const get = (key: Row): StoredRow | undefined => rows.get(keyOf(key))
  const put = (row: StoredRow): void => {
    rows.set(keyOf(row), row)
  }
  return {
    get,
    put,
    remove(key: Row): void {
      rows.delete(keyOf(key))
    },
    list: (flow: string, prefix: string): StoredRow[] =>
      [...rows.values()].filter(row => row.pk?.S === flow && row.sk?.S?.startsWith(prefix)),
  }
}
