// Moving the view with an answer that is being written.
//
// An answer is followed until its question has reached the top, so that a long answer is read from
// its beginning; and not at all once the reader has scrolled. What is being read does not move.

export function createScroll(log) {
  const top = (element) => element.getBoundingClientRect().top;
  const below = () => log.scrollHeight - log.clientHeight - log.scrollTop;
  const last = () => [...log.querySelectorAll('.turn')].at(-1);
  let leftAt = null;

  const isFollowing = () => leftAt === null || Math.abs(log.scrollTop - leftAt) <= 4;

  function follow(element) {
    if (!isFollowing()) return;
    log.scrollTop += top(element) - top(log) - 12;
    leftAt = log.scrollTop;
  }

  // Changes what surrounds an element; if that is in view, it does not move on the screen.
  function unmoved(change, element = last()) {
    const following = isFollowing();
    const before = element ? top(element) : NaN;
    change();
    if (element?.isConnected && before < top(log) + log.clientHeight) log.scrollTop += top(element) - before;
    if (following && leftAt !== null) leftAt = log.scrollTop;
  }

  return {
    follow,
    unmoved,
    followAnew: () => (leftAt = null),
    isAtEnd: () => below() < 8,
    isFarFromEnd: () => below() > log.clientHeight / 2,
    toEnd: () => (log.scrollTop = log.scrollHeight),
  };
}
