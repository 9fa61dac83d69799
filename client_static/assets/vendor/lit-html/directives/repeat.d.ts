/** Renders a list, moving the elements of an item with its key. */
export function repeat<T>(items: Iterable<T>, key: (item: T) => unknown, template: (item: T) => unknown): unknown;
