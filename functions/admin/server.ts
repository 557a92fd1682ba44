import { runDeployable } from '../../shared/platform/index.ts'
import { startAdmin } from './wiring.ts'

await runDeployable(startAdmin, process.env)
