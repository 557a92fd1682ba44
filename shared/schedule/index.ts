/**
 * Schedule: work that nobody asks for, done again and again: sweeps that find what was lost, clean-ups, events that are due by time.
 * What is always true: a task is safe to run twice, at the same time and beside another's run, so that timers in processes, a CronJob
 * and EventBridge Scheduler may all drive it; a run that fails is the next one's to make good.
 */
export { runTasks, TasksFailed, UnknownTask } from './run-tasks.ts'
export { type RunningTasks, startTasks } from './start-tasks.ts'
export type { Task, TaskContext } from './task.ts'
export { type OpenTasks, type OpenTasksOf, runTaskCommand } from './task-command.ts'
