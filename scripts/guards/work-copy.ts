import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Guard } from './guard.ts'

/** A copy of the source tree in which guards are removed; the tree itself is never touched. */
export interface WorkCopy {
  folder: string
  /** Throws when the guard's text does not stand in its file exactly once. The answer puts the guard back. */
  remove(guard: Guard): () => void
  delete(): void
}

/** How often `part` stands in `text`. */
export const occurrences = (text: string, part: string): number => text.split(part).length - 1

/** The file without its guard. Throws when the text is not there exactly once. */
export function withoutGuard(source: string, guard: Guard): string {
  const found = occurrences(source, guard.text)
  if (found !== 1) throw new Error(`the guard's text stands ${found} times in ${guard.file}`)
  return source.replace(guard.text, () => guard.without)
}

/** Everything that git knows or would add, as it is now, with the packages of `root`. */
export function createWorkCopy(root: string): WorkCopy {
  const folder = mkdtempSync(join(tmpdir(), 'upesi-guards-'))
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  for (const file of new Set(listed.split('\0'))) {
    if (file === '' || !existsSync(join(root, file))) continue
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    copyFileSync(join(root, file), join(folder, file))
  }
  for (const packages of ['node_modules', 'infra/cdk/node_modules'])
    if (existsSync(join(root, packages))) symlinkSync(join(root, packages), join(folder, packages), 'dir')
  return {
    folder,
    remove(guard) {
      const path = join(folder, guard.file)
      const source = readFileSync(path, 'utf8')
      writeFileSync(path, withoutGuard(source, guard))
      return () => writeFileSync(path, source)
    },
    delete: () => rmSync(folder, { recursive: true, force: true }),
  }
}
