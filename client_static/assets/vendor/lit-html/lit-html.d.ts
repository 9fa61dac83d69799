/** The types of what the page uses of lit-html 3.3.3; the package has all of them. */
export interface TemplateResult {
  strings: TemplateStringsArray;
  values: unknown[];
}
/** Renders nothing, and removes an attribute. */
export const nothing: unique symbol;
export function html(strings: TemplateStringsArray, ...values: unknown[]): TemplateResult;
export function svg(strings: TemplateStringsArray, ...values: unknown[]): TemplateResult;
export function render(value: unknown, container: HTMLElement | DocumentFragment): unknown;
