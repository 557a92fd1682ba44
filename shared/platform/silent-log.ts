import pino from 'pino'
import type { Logger } from './log.ts'

/** By itself, for whoever does not use it need not make it. */
export const silentLogger: Logger = pino({ level: 'silent' }, { write: () => undefined })
