import { runDeployable } from '../../shared/platform/index.ts'
import { startRelayProcess } from './wiring.ts'

await runDeployable(startRelayProcess, process.env)
