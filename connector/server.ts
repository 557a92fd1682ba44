import { runDeployable } from '../shared/platform/index.ts'
import { startConnector } from './wiring.ts'

await runDeployable(startConnector, process.env)
