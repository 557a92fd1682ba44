import { runDeployable } from '../../shared/platform/index.ts'
import { startAuth } from './wiring.ts'

await runDeployable(startAuth, process.env)
