import { runDeployable } from '../../shared/platform/index.ts'
import { startAutoPeering } from './wiring.ts'

await runDeployable(startAutoPeering, process.env)
