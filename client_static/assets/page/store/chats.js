// @ts-check

/** @typedef {import("../../client/xinflight.js").Task} Task */

/** Whether a task is a chat. @param {Task} task */
export function isChat(task) {
  return task.action === "chat" || (task.params ?? task.request).kind === "chat";
}
