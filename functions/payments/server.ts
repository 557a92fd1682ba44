import { runDeployable } from '../../shared/platform/index.ts'
import { startPayments } from './wiring.ts'

await runDeployable(startPayments, process.env)
