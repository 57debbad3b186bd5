"""What no schema can say about a request: which threads there are, what is in them, and what is refused
although it has the right form."""

import re

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData, UnsupportedMethodResponse

CHATKIT = schemathesis.hook.apply_to(name="POST /chatkit")

QUESTION = re.compile(rb'"type":"user_message","id":"([^"]+)","thread_id":"([^"]+)"')

# A question of each thread that the fuzzer was told of; the newest thread is the last.
questions = {}

REFUSED_ALL_THE_SAME = [
    {"field": "after", "message": "is not an entry of this list"},
    # Somewhere in the data of a tag.
    {"field": "content", "message": "must not hold NUL characters"},
    # In a header or in the query: a document cannot ask for one of two parameters.
    {"field": "session_id", "message": "is required"},
    # Nor for one of them and not the other.
    {
        "field": "Idempotency-Key",
        "message": "stops an answer: send it without the session id that deletes a conversation",
    },
]


def request(case):
    """Its type and its params, if it has the form of a request."""
    body = case.body if isinstance(case.body, dict) else {}
    params = body.get("params")
    return body.get("type"), params if isinstance(params, dict) else {}


@CHATKIT
def before_call(context, case, kwargs):
    """Replaces ids that were made up with ids that exist."""
    kind, params = request(case)
    # The oldest is deleted, but never the last one left.
    deletes = kind == "threads.delete"
    if not params or len(questions) <= deletes:
        return
    thread = list(questions)[0 if deletes else -1]
    question = questions[thread]
    after = thread if kind == "threads.list" else question
    known = {"thread_id": thread, "item_id": question, "after": after}
    known = {key: id for key, id in known.items() if isinstance(params.get(key), str)}
    case.body = {**case.body, "params": {**params, **known}}


@CHATKIT
def after_call(context, case, response):
    """Learns of questions, and of threads that are gone."""
    for question, thread in QUESTION.findall(response.content):
        questions.setdefault(thread.decode(), question.decode())
    kind, params = request(case)
    if kind == "threads.delete" and response.status_code == 200:
        questions.pop(params.get("thread_id"), None)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure really is one."""
    if isinstance(failure, UnsupportedMethodResponse) and response.status_code == 403:
        # It came with an origin that may not call, whatever the method.
        return response.json()["error"]["code"] != "origin_not_allowed"
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    details = response.json()["error"].get("details", [])
    return not details or any(detail not in REFUSED_ALL_THE_SAME for detail in details)
