/** For tests only: what the test files of one run share. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'

/** The folder for it; `run-tests.ts` makes it, and deletes it after them. A test file that is run alone has none. */
export const RUN_FOLDER_VARIABLE = 'TEST_RUN_FOLDER'

/** A folder is made by one, whoever else tries. */
export function isFirst(folder: string): boolean {
  try {
    mkdirSync(folder)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  }
}

/** Whoever finds the file finds all of it. */
export function writeWhole(file: string, value: unknown): void {
  writeFileSync(`${file}.part`, JSON.stringify(value))
  renameSync(`${file}.part`, file)
}
