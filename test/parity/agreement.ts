import { expect } from 'vitest'
import type { Row } from '../../src/verify/compare.js'

/** Expects every row to agree within `limit`, which says what is reached: tighter than what verification allows. */
export function expectAgreement(rows: readonly Row[], limit: number): void {
  expect(rows.filter(row => !row.ok || row.maxRelative > limit)).toEqual([])
}
