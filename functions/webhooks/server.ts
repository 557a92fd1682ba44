import { runDeployable } from '../../shared/platform/index.ts'
import { startWebhooks } from './wiring.ts'

await runDeployable(startWebhooks, process.env)
