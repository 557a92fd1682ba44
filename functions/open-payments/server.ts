import { runDeployable } from '../../shared/platform/index.ts'
import { startOpenPayments } from './wiring.ts'

await runDeployable(startOpenPayments, process.env)
