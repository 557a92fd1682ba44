import { queueContract } from './contract.ts'

queueContract('redis')
