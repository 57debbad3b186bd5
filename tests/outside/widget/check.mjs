// How a case says what must be so.

import { AssertionError } from 'node:assert';

/** `check(truth, words)`, `check.equal(is, expected, words)`: throws with the words. */
export function check(truth, words = 'is not so') {
  if (!truth) throw new AssertionError({ message: words });
}
check.equal = (is, expected, words = 'differs') => {
  const [left, right] = [is, expected].map((value) => JSON.stringify(value, null, 1));
  if (left !== right) {
    const [a, b] = [left, right].map((text) => String(text).slice(0, 3_000));
    throw new AssertionError({ message: `${words}:\n  is       ${a}\n  expected ${b}` });
  }
};
