import { queueContract } from './contract.ts'

queueContract('postgres')
