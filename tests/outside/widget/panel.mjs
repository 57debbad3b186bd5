// The widget's panel as a reader finds it, by what it says.

export const ASK = 'Ask the book';

export const button = (page, name) => page.getByRole('button', { name, exact: true });
export const box = (page) => page.getByRole('textbox', { name: 'Your question' });
export const log = (page) => page.getByRole('log');

export async function ask(page, text) {
  await box(page).fill(text);
  await box(page).press('Enter');
}

export async function answered(page, text) {
  await log(page).getByText(text).last().waitFor();
  await button(page, 'Copy the answer').last().waitFor();
}
