import { Refusal } from '../platform/index.ts'

export class FolderInUse extends Refusal<'folder_in_use'> {
  readonly pid: number
  constructor(folder: string, pid: number) {
    super('folder_in_use', { message: `process ${pid} already runs PostgreSQL in ${folder}` })
    this.pid = pid
  }
}

export class CannotRunHere extends Refusal<'cannot_run_here'> {
  constructor(message: string) {
    super('cannot_run_here', { message })
  }
}
