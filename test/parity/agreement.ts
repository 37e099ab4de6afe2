import { expect } from 'vitest'
import type { Row } from '../../src/verify/compare.js'

/**
 * Expects every row to agree within `limit`: the agreement that is reached, which is tighter than the default
 * tolerance.
 */
export function expectAgreement(rows: readonly Row[], limit: number): void {
  expect(rows.filter(row => !row.ok || row.maxRelative > limit)).toEqual([])
}
