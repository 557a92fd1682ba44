import { chmodSync, writeFileSync } from 'node:fs'
import { initScript } from './init-script.ts'

const file = new URL('./init/ready.d/10-queues.sh', import.meta.url)
writeFileSync(file, initScript())
chmodSync(file, 0o755)
