"""Plays one scene against a running backend with the types of the official package.

Requests are its models, written out; responses and events are read by its models, and anything
that they do not know or would have written differently is an error. Prints one line of JSON, the
result of the scene; the exchange goes to stderr.

usage: drive.py <base URL> <origin of a page elsewhere> <scene> <a question that the book answers>
"""

import json
import re
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Any, get_args
from urllib.parse import urlsplit

from chatkit import types as kit
from chatkit.actions import Action
from pydantic import TypeAdapter

EVENT = TypeAdapter(kit.ThreadStreamEvent)
THREAD = TypeAdapter(kit.Thread)
THREADS = TypeAdapter(kit.Page[kit.Thread])
ITEMS = TypeAdapter(kit.Page[kit.ThreadItem])

COOKIE = "__Host-reader"

NOBODY = "0190a6d8-0000-7000-8000-000000000000"

# What is answered; every other type that the package knows is refused.
ANSWERED = {
    "threads.create",
    "threads.add_user_message",
    "threads.retry_after_item",
    "threads.get_by_id",
    "threads.list",
    "items.list",
    "threads.update",
    "threads.delete",
    "items.feedback",
}

CREATED = [
    "thread.created",
    "thread.item.done",
    "stream_options",
    "thread.item.added",
    "thread.updated",
    "content_part.added",
    "content_part.text_delta",
    "content_part.done",
    "thread.item.done",
]
CONTINUED = [kind for kind in CREATED if kind not in ("thread.created", "thread.updated")]
RETRIED = CONTINUED[1:]


def log(text):
    print(text, file=sys.stderr, flush=True)


def read(adapter, text):
    """What the package reads in it, provided that it would have written the same."""
    model = adapter.validate_json(text)
    written = adapter.dump_json(model, by_alias=True, exclude_none=True)
    ours, theirs = plain_times(json.loads(text)), plain_times(json.loads(written))
    assert ours == theirs, f"the package writes\n{theirs}\nand we\n{ours}"
    return model


def plain_times(value):
    """The same with each time in one form, because the package drops a time's last zeros."""
    if isinstance(value, list):
        return [plain_times(each) for each in value]
    if not isinstance(value, dict):
        return value
    value = {name: plain_times(each) for name, each in value.items()}
    if "created_at" in value:
        value["created_at"] = datetime.fromisoformat(value["created_at"].replace("Z", "+00:00"))
    return value


def check_times(text):
    """UTC with microseconds and a Z: the same text in each place, and sortable as it stands."""
    for created_at in re.findall(r'"created_at":("[^"]*"|[^",}]*)', text):
        assert re.fullmatch(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"', created_at), created_at


@dataclass
class Refusal:
    status: int
    code: str


@dataclass
class Turn:
    """One stream as a widget follows it; every event is checked against what came before."""

    request: Any
    events: list = field(default_factory=list)
    thread: kit.Thread | None = None
    question: kit.UserMessageItem | None = None
    answer: kit.AssistantMessageItem | None = None
    error: kit.ErrorEvent | None = None
    # The answer that has begun, its text and what it cites so far, and both once they are whole.
    open: kit.AssistantMessageItem | None = None
    text: str | None = None
    annotations: list = field(default_factory=list)
    part: kit.AssistantMessageContent | None = None
    removed: list = field(default_factory=list)

    @property
    def shape(self):
        """The kinds of events in their order; deltas in a row count as one, signs of life do not."""
        kinds = [kind(event) for event in self.events if event.type != "progress_update"]
        delta = "content_part.text_delta"
        return [each for i, each in enumerate(kinds) if not each == delta == kinds[i - 1]]

    def whole(self):
        """The same, provided that it was answered."""
        assert self.error is None, self.error
        assert self.answer is not None, f"no answer: {self.shape}"
        assert self.open is None
        return self

    def failed(self):
        """Its error, which is written for people and followed by a new title at most."""
        assert self.error is not None, f"no error: {self.shape}"
        assert self.answer is None
        assert self.error.code == "custom", self.error
        assert re.search(r"\.( \(.*\))?$", self.error.message), self.error
        rest = self.shape[self.shape.index("error") + 1 :]
        assert rest in ([], ["thread.updated"]), self.shape
        return self.error

    def take(self, event):
        assert self.error is None or event.type == "thread.updated", f"{event} after the error"
        options = any(event.type == "stream_options" for event in self.events)
        match event:
            case kit.ThreadCreatedEvent():
                assert not self.events, "thread.created is not the first event"
                assert self.request.type == "threads.create"
                assert event.thread.title is None
                self.take_thread(event.thread)
            case kit.ThreadUpdatedEvent():
                assert options
                if self.thread:
                    assert event.thread.created_at == self.thread.created_at
                self.take_thread(event.thread)
            case kit.ThreadItemDoneEvent(item=kit.UserMessageItem() as item):
                assert not options and self.question is None, "a question in the wrong place"
                assert self.request.type != "threads.retry_after_item"
                assert self.thread or self.request.type != "threads.create"
                self.check_thread(item.thread_id)
                self.question = item
            case kit.StreamOptionsEvent():
                assert not options, "stream_options twice"
                assert self.question or self.request.type == "threads.retry_after_item"
                assert event.stream_options.allow_cancel
            case kit.ThreadItemAddedEvent(item=kit.AssistantMessageItem() as item):
                assert options and self.open is None and self.answer is None
                assert item.content == []
                self.check_thread(item.thread_id)
                self.open = item
            case kit.ThreadItemUpdatedEvent():
                assert self.open and event.item_id == self.open.id, "an update of no open item"
                self.take_update(event.update)
            case kit.ThreadItemDoneEvent(item=kit.AssistantMessageItem() as item):
                assert self.open and item.id == self.open.id, "an answer that was not begun"
                assert self.part is not None, "an answer whose part is not done"
                assert item.created_at == self.open.created_at
                assert item.thread_id == self.open.thread_id
                assert item.content == [self.part]
                self.answer, self.open = item, None
            case kit.ThreadItemRemovedEvent():
                assert self.question and event.item_id == self.question.id
                self.removed.append(event.item_id)
            case kit.ProgressUpdateEvent():
                assert options and self.answer is None
                assert event.text.strip()
            case kit.ErrorEvent():
                assert options or not self.events, "an error in the middle of the question"
                self.error = event
            case _:
                raise AssertionError(f"nothing that a text chat sends: {event}")
        self.events.append(event)

    def take_update(self, update):
        match update:
            case kit.AssistantMessageContentPartAdded():
                assert self.text is None, "a second part"
                assert update.content == kit.AssistantMessageContent(text="")
                self.text = ""
            case kit.AssistantMessageContentPartTextDelta():
                assert self.text is not None and self.part is None, "a delta of no open part"
                assert update.delta, "an empty delta"
                self.text += update.delta
            case kit.AssistantMessageContentPartAnnotationAdded():
                assert self.text is not None and self.part is None, "it annotates no open part"
                assert update.annotation_index == len(self.annotations)
                assert update.annotation.index == len(self.text), "it is not at the text's end"
                self.annotations.append(update.annotation)
            case kit.AssistantMessageContentPartDone():
                assert self.text and self.part is None, "the end of no open part"
                assert update.content.text == self.text, "the deltas are another text"
                assert update.content.annotations == self.annotations, "other annotations"
                self.part = update.content
            case _:
                raise AssertionError(f"nothing that a text chat sends: {update}")
        assert update.content_index == 0

    def take_thread(self, thread):
        assert thread.items == kit.Page(), "an event brings items along"
        self.check_thread(thread.id)
        self.thread = thread

    def check_thread(self, thread_id):
        known = getattr(self.request.params, "thread_id", None) or (self.thread and self.thread.id)
        assert known in (None, thread_id), f"{thread_id} in a turn of {known}"


def kind(event):
    """An event's type; for an update, what is updated."""
    if event.type == "thread.item.updated":
        return event.update.type.removeprefix("assistant_message.")
    return event.type


class Reader:
    """A widget in a browser of its own, which keeps the reader's token and what it has shown."""

    def __init__(self, page=None, terse=False, location=None):
        self.page = page
        self.location = location
        self.terse = terse
        self.token = None
        self.ids = set()

    def plain(self, adapter, request):
        """A request that is answered with one object."""
        assert not kit.is_streaming_req(request)
        response = self.send(request)
        text = response.read().decode()
        log(f"< {response.status} {text}")
        assert response.status == 200
        assert media_type(response) == "application/json"
        check_times(text)
        return read(adapter, text)

    def nothing(self, request):
        """A request that is answered with an empty object."""
        assert self.plain(TypeAdapter(dict), request) == {}

    def turn(self, request, until=None):
        """A request that is answered with a stream; hung up once `until` says so."""
        assert kit.is_streaming_req(request)
        response = self.send(request)
        log(f"< {response.status}")
        assert response.status == 200, response.read().decode()
        assert media_type(response) == "text/event-stream"
        turn = Turn(request)
        for data in frames(response):
            log(f"< {data}")
            check_times(data)
            turn.take(read(EVENT, data))
            if until and until(turn):
                response.close()
                self.connection.close()
                break
        else:
            assert until is None, "it ended before it could be stopped"
            assert turn.events, "a stream without an event"
            assert turn.answer or turn.error, "a stream without an end"
        for item in (turn.question, turn.open or turn.answer):
            assert item is None or item.id not in self.ids, f"{item.id} is not the first"
            self.ids |= {item.id} if item else set()
        return turn

    def refused(self, request):
        """A request that is answered with the API's error, which has one form."""
        response = self.send(request)
        text = response.read().decode()
        log(f"< {response.status} {text}")
        assert response.status >= 400
        assert media_type(response) == "application/json"
        body = json.loads(text)
        assert body["request_id"] == response.headers["x-request-id"]
        assert body["error"]["message"].endswith(".")
        return Refusal(response.status, body["error"]["code"])

    def send(self, request):
        body = request.model_dump_json(by_alias=True, exclude_none=self.terse)
        log(f"> {body}")
        headers = {"content-type": "application/json", "accept-language": "en"}
        if self.location:
            headers["x-page"] = self.location
        if self.page:
            headers["origin"] = self.page
        if self.token and self.page:
            headers["authorization"] = f"Bearer {self.token}"
        elif self.token:
            headers["cookie"] = f"{COOKIE}={self.token}"
        self.connection = HTTPConnection(urlsplit(URL).netloc, timeout=30)
        self.connection.request("POST", "/chatkit", body.encode(), headers)
        response = self.connection.getresponse()
        # A page of another site would lose a cookie, and a page of the same site must not see it.
        in_header = response.headers["x-reader-token"]
        in_cookie = SimpleCookie(response.headers["set-cookie"] or "").get(COOKIE)
        assert not (in_cookie if self.page else in_header), "the token is in the wrong place"
        if issued := in_header or (in_cookie and in_cookie.value):
            assert self.token is None, "a second token"
            assert request.type == "threads.create"
            assert re.fullmatch(r"[\w-]{43}", issued, re.ASCII), issued
            self.token = issued
        return response

    # The requests, each the package's own.

    def create(self, message, until=None):
        params = kit.ThreadCreateParams(input=message)
        return self.turn(kit.ThreadsCreateReq(params=params), until)

    def add(self, thread_id, message, until=None):
        params = kit.ThreadAddUserMessageParams(thread_id=thread_id, input=message)
        return self.turn(kit.ThreadsAddUserMessageReq(params=params), until)

    def retry(self, thread_id, item_id):
        return self.turn(retry_request(thread_id, item_id))

    def thread(self, thread_id):
        thread = self.plain(THREAD, thread_request(thread_id))
        assert thread.id == thread_id
        assert all(item.thread_id == thread_id for item in thread.items.data)
        return thread

    def threads(self, **params):
        page = self.plain(THREADS, kit.ThreadsListReq(params=kit.ThreadListParams(**params)))
        assert all(thread.items == kit.Page() for thread in page.data)
        return page

    def items(self, thread_id, **params):
        return self.plain(ITEMS, items_request(thread_id, **params))

    def update(self, thread_id, title):
        thread = self.plain(THREAD, update_request(thread_id, title))
        assert thread.id == thread_id
        assert thread.items == kit.Page()
        return thread

    def delete(self, thread_id):
        params = kit.ThreadDeleteParams(thread_id=thread_id)
        self.nothing(kit.ThreadsDeleteReq(params=params))

    def feedback(self, thread_id, item_ids, kind):
        self.nothing(feedback_request(thread_id, item_ids, kind))


def message(text="What is a humanoid robot?", **fields):
    """What a reader submits: a text, or parts of several kinds."""
    content = [kit.UserMessageTextContent(text=text)] if isinstance(text, str) else text
    fields = {"attachments": [], "inference_options": kit.InferenceOptions()} | fields
    return kit.UserMessageInput(content=content, **fields)


def thread_request(thread_id):
    return kit.ThreadsGetByIdReq(params=kit.ThreadGetByIdParams(thread_id=thread_id))


def items_request(thread_id, **params):
    return kit.ItemsListReq(params=kit.ItemsListParams(thread_id=thread_id, **params))


def retry_request(thread_id, item_id):
    params = kit.ThreadRetryAfterItemParams(thread_id=thread_id, item_id=item_id)
    return kit.ThreadsRetryAfterItemReq(params=params)


def update_request(thread_id, title):
    return kit.ThreadsUpdateReq(params=kit.ThreadUpdateParams(thread_id=thread_id, title=title))


def feedback_request(thread_id, item_ids, kind):
    params = kit.ItemFeedbackParams(thread_id=thread_id, item_ids=item_ids, kind=kind)
    return kit.ItemsFeedbackReq(params=params)


def media_type(response):
    return response.headers["content-type"].split(";")[0]


def frames(response):
    """The data of each event; the stream has nothing else, and a proper end."""
    buffer = b""
    # A stream that breaks off raises IncompleteRead.
    while some := response.read1():
        *whole, buffer = (buffer + some).split(b"\n\n")
        for frame in whole:
            frame = frame.decode()
            assert frame.startswith("data: ") and "\n" not in frame, f"{frame!r} is no event"
            yield frame.removeprefix("data: ")
    assert not buffer, f"{buffer!r} at the end"


def eventually(ask):
    """Asks again and again until there is an answer, for ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise AssertionError("it never comes")


def walk(list_page, **params):
    """The pages of a list from start to end."""
    pages = [list_page(**params)]
    while pages[-1].has_more:
        assert pages[-1].after == pages[-1].data[-1].id
        pages.append(list_page(**params, after=pages[-1].after))
    return pages


def all_of(pages):
    return [entry for page in pages for entry in page.data]


def same(stored, *turns):
    """Checks that a thread that is read again is what the turns have shown."""
    shown = [item for turn in turns for item in (turn.question, turn.answer) if item]
    assert stored.items.data == shown, f"shown\n{shown}\nstored\n{stored.items.data}"
    assert not stored.items.has_more
    threads = [turn.thread for turn in turns if turn.thread]
    for thread in threads:
        assert (stored.id, stored.created_at) == (thread.id, thread.created_at)
    assert stored.title == threads[-1].title
    return True


def told(items):
    """Items as `role: text`."""
    roles = {"user_message": "user", "assistant_message": "assistant"}
    return [
        f"{roles[item.type]}: {''.join(part.text for part in item.content)}" for item in items
    ]


# The scenes.

SCENES = {}


def scene(play):
    SCENES[play.__name__] = play
    return play


@scene
def conversation(terse=False):
    reader = Reader(terse=terse)
    assert reader.threads() == kit.Page()
    first = reader.create(message()).whole()
    assert first.shape == CREATED, first.shape
    assert first.question.content == message().content
    assert first.thread.title == "What is a humanoid robot?"
    thread_id = first.thread.id
    second = reader.add(thread_id, message("And why?")).whole()
    assert second.shape == CONTINUED, second.shape
    thread = reader.thread(thread_id)
    same(thread, first, second)
    assert all_of([reader.items(thread_id, order="asc")]) == thread.items.data
    [listed] = reader.threads().data
    assert listed == thread.model_copy(update={"items": kit.Page()})
    return {"thread": thread_id, "told": told(thread.items.data)}


@scene
def terse():
    return conversation(terse=True)


@scene
def passage():
    reader = Reader()
    quote = "Bipedal gait is a controlled fall."
    question = message("What does this mean?", quoted_text=quote)
    first = reader.create(question).whole()
    assert first.question.quoted_text == quote
    thread_id = first.thread.id
    # A widget sends an empty one when nothing is quoted.
    second = reader.add(thread_id, message("And why?", quoted_text="")).whole()
    assert second.question.quoted_text is None
    same(reader.thread(thread_id), first, second)
    third = reader.retry(thread_id, first.question.id).whole()
    first.answer = third.answer
    same(reader.thread(thread_id), first)
    return {"thread": thread_id}


@scene
def sources():
    """Annotations in the stream (checked there), in the item and in the stored thread."""
    reader = Reader(location="/book/walking.html?theme=dark#task")
    first = reader.create(message(QUESTION)).whole()
    added = "content_part.annotation_added"
    delta = "content_part.text_delta"
    written = [kind for kind in first.shape if kind in (added, delta)]
    assert written == [added, delta, added, delta, added], first.shape
    thread_id = first.thread.id
    second = reader.retry(thread_id, first.question.id).whole()
    first.answer = second.answer
    third = reader.add(thread_id, message("And why?")).whole()
    assert third.annotations == []
    same(reader.thread(thread_id), first, third)
    [content] = first.answer.content
    return {
        "thread": thread_id,
        "text": content.text,
        "annotations": [each.model_dump(exclude_none=True) for each in content.annotations],
    }


@scene
def texts():
    reader = Reader()
    turn = reader.create(message("What is 1 < 2?")).whole()
    turns, thread_id = [turn], turn.thread.id
    for text in (
        "  Padded \n",
        "Two\r\nlines, a\ttab and \u2028 and \u0085",
        'Ünïcode ✓ 😀 👩\u200d🚀 "quoted" back\\slash',
        "data: x\n\ndata: y\n\n",
        "</script><b>&amp;",
        "@Chapter 3",
    ):
        turn = reader.add(thread_id, message(text)).whole()
        assert turn.question.content == message(text).content
        turns.append(turn)
    parts = [kit.UserMessageTextContent(text=text) for text in ("In two ", "", "parts?")]
    turn = reader.add(thread_id, message(parts)).whole()
    assert turn.question.content == parts
    turns.append(turn)
    same(reader.thread(thread_id), *turns)
    return {}


@scene
def tags():
    reader = Reader()
    text = kit.UserMessageTextContent(text="Explain ")
    chapter = kit.UserMessageTagContent(
        id="chapter-3",
        text="Chapter 3",
        data={"href": "/chapter-3", "pages": [12, 13], "level": {"of": 1.5}, "draft": None},
        group="Chapters",
        interactive=True,
    )
    section = kit.UserMessageTagContent(id="s", text="Walking", data={})
    first = reader.create(message([text, chapter])).whole()
    assert first.question.content == [text, chapter]
    second = reader.add(first.thread.id, message([section])).whole()
    assert second.question.content == [section]
    same(reader.thread(first.thread.id), first, second)
    return {"title": first.thread.title}


@scene
def inference():
    reader = Reader()
    options = kit.InferenceOptions(model="gpt-0", tool_choice=kit.ToolChoice(id="search"))
    first = reader.create(message(inference_options=options)).whole()
    same(reader.thread(first.thread.id), first)
    return {"options": first.question.inference_options.model_dump(exclude_none=True)}


@scene
def pages_of_threads():
    reader = Reader()
    made = [reader.create(message(f"Question {i}?")).whole().thread for i in range(5)]
    newest = made[::-1]
    for order, expected in (("desc", newest), ("asc", made)):
        for limit in (1, 2, 4, 5, 6):
            pages = walk(reader.threads, order=order, limit=limit)
            assert [len(page.data) for page in pages[:-1]] == [limit] * (len(pages) - 1)
            assert all_of(pages) == expected
    for limit in (None, 0, -1, 20, 9999):
        page = reader.threads(limit=limit)
        assert page.data == newest and not page.has_more
    # Metadata, which is ignored here.
    plain = kit.ThreadsListReq(params=kit.ThreadListParams(), metadata={"page": {"chapter": 3}})
    assert reader.plain(THREADS, plain).data == newest
    unknown = kit.ThreadsListReq(params=kit.ThreadListParams(after=NOBODY))
    assert reader.refused(unknown) == Refusal(400, "invalid_request")
    return {}


@scene
def pages_of_items():
    reader = Reader()
    turns = [reader.create(message("Question 0?")).whole()]
    thread_id = turns[0].thread.id
    turns += [reader.add(thread_id, message(f"Question {i}?")).whole() for i in range(1, 11)]
    shown = [item for turn in turns for item in (turn.question, turn.answer)]

    # A thread comes with its first twenty, and the rest from there.
    thread = reader.thread(thread_id)
    assert thread.items.data == shown[:20]
    assert thread.items.has_more and thread.items.after == shown[19].id
    rest = reader.items(thread_id, order="asc", after=thread.items.after)
    assert rest.data == shown[20:] and not rest.has_more

    def items(**params):
        return reader.items(thread_id, **params)

    for order, expected in (("desc", shown[::-1]), ("asc", shown)):
        for limit in (1, 7, 21, 22, 23):
            pages = walk(items, order=order, limit=limit)
            assert [len(page.data) for page in pages[:-1]] == [limit] * (len(pages) - 1)
            assert all_of(pages) == expected
    for limit in (None, 0, -1):
        page = items(limit=limit)
        assert page.data == shown[:1:-1] and page.has_more
    assert items(limit=9999).data == shown[::-1]
    unknown = items_request(thread_id, after=NOBODY)
    assert reader.refused(unknown) == Refusal(400, "invalid_request")
    return {}


@scene
def retry():
    reader = Reader()
    first = reader.create(message()).whole()
    thread_id = first.thread.id
    second = reader.add(thread_id, message("And why?")).whole()
    third = reader.add(thread_id, message("And how?")).whole()

    last = reader.retry(thread_id, third.question.id).whole()
    assert last.shape == RETRIED, last.shape
    third.answer = last.answer
    same(reader.thread(thread_id), first, second, third)

    # Everything after the question goes, later questions as well.
    early = reader.retry(thread_id, first.question.id).whole()
    gone, first.answer = first.answer, early.answer
    same(reader.thread(thread_id), first)

    wrong = [
        (thread_id, first.answer.id, Refusal(400, "invalid_request")),
        (thread_id, gone.id, Refusal(404, "not_found")),
        (thread_id, second.question.id, Refusal(404, "not_found")),
        (thread_id, NOBODY, Refusal(404, "not_found")),
        (thread_id, "msg_0", Refusal(404, "not_found")),
        (NOBODY, first.question.id, Refusal(404, "not_found")),
    ]
    for thread, item, expected in wrong:
        refusal = reader.refused(retry_request(thread, item))
        assert refusal == expected, refusal
    same(reader.thread(thread_id), first)
    return {"told": told(reader.thread(thread_id).items.data)}


@scene
def failing_retry():
    reader = Reader()
    first = reader.create(message()).whole()
    failed = reader.retry(first.thread.id, first.question.id)
    assert failed.failed().allow_retry
    assert failed.shape == ["stream_options", "error"], failed.shape
    same(reader.thread(first.thread.id), first)
    return {}


@scene
def rename():
    reader = Reader()
    first = reader.create(message()).whole()
    other = reader.create(message("And why?")).whole()
    thread_id = first.thread.id
    title = "Über Roboter 🤖 " + "x" * 185
    assert len(title) == 200
    for title in (title, "R", "Robots"):
        renamed = reader.update(thread_id, title)
        assert renamed == first.thread.model_copy(update={"title": title})
    for title in ("", " \n ", "x" * 201):
        refusal = reader.refused(update_request(thread_id, title))
        assert refusal == Refusal(400, "invalid_request"), refusal
    # A title of the reader's own stays.
    second = reader.add(thread_id, message("And then?")).whole()
    assert second.shape == CONTINUED, second.shape
    assert reader.thread(thread_id).title == "Robots"
    titles = [thread.title for thread in reader.threads().data]
    assert titles == [other.thread.title, "Robots"], titles
    return {}


@scene
def delete():
    reader = Reader()
    first = reader.create(message()).whole()
    other = reader.create(message("And why?")).whole()
    thread_id = first.thread.id
    for _ in range(2):
        reader.delete(thread_id)
        assert reader.threads().data == [other.thread]
        refusal = reader.refused(thread_request(thread_id))
        assert refusal == Refusal(404, "not_found"), refusal
    reader.delete("thr_0")
    return {"left": other.thread.id}


@scene
def feedback():
    reader = Reader()
    first = reader.create(message()).whole()
    thread_id = first.thread.id
    # A widget names what it has seen, including things that were never stored.
    reader.feedback(thread_id, [first.answer.id, "cki_0"], "positive")
    reader.feedback(thread_id, [first.answer.id], "negative")
    reader.feedback(thread_id, [], "positive")
    same(reader.thread(thread_id), first)
    for item_ids in (["x"] * 101, ["x" * 101]):
        refusal = reader.refused(feedback_request(thread_id, item_ids, "positive"))
        assert refusal == Refusal(400, "invalid_request"), refusal
    refusal = reader.refused(feedback_request(NOBODY, [first.answer.id], "positive"))
    assert refusal == Refusal(404, "not_found"), refusal
    return {"thread": thread_id, "answer": first.answer.id}


@scene
def early_error():
    reader = Reader()
    failed = reader.create(message())
    error = failed.failed()
    assert error.allow_retry
    expected = [*CREATED[:3], "error", "thread.updated"]
    assert failed.shape == expected, failed.shape
    thread_id = failed.thread.id
    same(reader.thread(thread_id), failed)

    again = reader.add(thread_id, message("And why?"))
    assert again.failed().allow_retry
    assert again.shape == [*CONTINUED[:2], "error"], again.shape
    same(reader.thread(thread_id), failed, again)

    # The button below the error.
    retried = reader.retry(thread_id, again.question.id).whole()
    assert retried.shape == RETRIED, retried.shape
    again.answer = retried.answer
    same(reader.thread(thread_id), failed, again)
    return {"message": error.message}


@scene
def late_error():
    reader = Reader()
    failed = reader.create(message())
    error = failed.failed()
    assert error.allow_retry
    expected = [*CREATED[:7], "error"]
    assert failed.shape == expected, failed.shape
    assert failed.text == "Half an "
    thread_id = failed.thread.id
    # Half an answer is dropped, the question stays.
    same(reader.thread(thread_id), failed)
    retried = reader.retry(thread_id, failed.question.id).whole()
    failed.answer = retried.answer
    same(reader.thread(thread_id), failed)
    return {"message": error.message}


@scene
def stop():
    reader = Reader()
    stopped = reader.create(message(), until=lambda turn: turn.text == "Half an ")
    thread_id = stopped.thread.id

    def stored():
        thread = reader.thread(thread_id)
        return len(thread.items.data) == 2 and thread

    thread = eventually(stored)
    stopped.answer = stopped.open.model_copy(
        update={"content": [kit.AssistantMessageContent(text="Half an ")]}
    )
    same(thread, stopped)
    second = reader.add(thread_id, message("And why?")).whole()
    same(reader.thread(thread_id), stopped, second)
    return {"thread": thread_id, "answer": stopped.answer.id}


@scene
def silence():
    reader = Reader()
    turn = reader.create(message()).whole()
    assert "progress_update" in [event.type for event in turn.events]
    same(reader.thread(turn.thread.id), turn)
    return {}


@scene
def too_fast():
    reader = Reader()
    first = reader.create(message()).whole()
    refused = reader.add(first.thread.id, message("And why?"))
    error = refused.failed()
    assert refused.shape == ["error"], refused.shape
    assert not error.allow_retry
    same(reader.thread(first.thread.id), first)
    return {"message": error.message}


@scene
def unfit():
    reader = Reader()
    refused = reader.create(message())
    error = refused.failed()
    expected = [*CREATED[:3], "thread.item.removed", "error"]
    assert refused.shape == expected, refused.shape
    assert not error.allow_retry
    # The thread stays: the widget shows it now.
    refused.question = None
    same(reader.thread(refused.thread.id), refused)
    assert reader.threads().data == [refused.thread]
    return {}


@scene
def strangers():
    reader, stranger, elsewhere = Reader(), Reader(), Reader(page=PAGE)
    threads = [each.create(message()).whole() for each in (reader, stranger, elsewhere)]
    assert len({each.token for each in (reader, stranger, elsewhere)}) == 3
    for each, own in zip((reader, stranger, elsewhere), threads):
        assert each.threads().data == [own.thread]
        same(each.thread(own.thread.id), own)

    mine = threads[0]
    for other in (stranger, elsewhere, Reader(), Reader(page=PAGE)):
        adding = kit.ThreadAddUserMessageParams(thread_id=mine.thread.id, input=message())
        for request in (
            thread_request(mine.thread.id),
            items_request(mine.thread.id),
            update_request(mine.thread.id, "Mine"),
            kit.ThreadsAddUserMessageReq(params=adding),
            retry_request(mine.thread.id, mine.question.id),
            feedback_request(mine.thread.id, [mine.answer.id], "negative"),
        ):
            refusal = other.refused(request)
            assert refusal == Refusal(404, "not_found"), f"{request.type}: {refusal}"
        other.delete(mine.thread.id)
    assert stranger.refused(
        kit.ThreadsListReq(params=kit.ThreadListParams(after=mine.thread.id))
    ) == Refusal(400, "invalid_request")
    same(reader.thread(mine.thread.id), mine)
    return {}


@scene
def refusals():
    reader = Reader()
    first = reader.create(message()).whole()
    thread_id, item_id = first.thread.id, first.answer.id
    action = kit.ThreadCustomActionParams(
        thread_id=thread_id, item_id=item_id, action=Action(type="press", payload={"n": 1})
    )
    unsupported = [
        kit.AttachmentsCreateReq(
            params=kit.AttachmentCreateParams(name="a.png", size=1, mime_type="image/png")
        ),
        kit.AttachmentsDeleteReq(params=kit.AttachmentDeleteParams(attachment_id="atc_0")),
        kit.InputTranscribeReq(
            params=kit.InputTranscribeParams(audio_base64="AAAA", mime_type="audio/webm")
        ),
        kit.ThreadsCustomActionReq(params=action),
        kit.ThreadsSyncCustomActionReq(params=action),
        kit.ThreadsAddClientToolOutputReq(
            params=kit.ThreadAddClientToolOutputParams(thread_id=thread_id, result=[1, None])
        ),
        kit.ThreadsAddStructuredInputReq(
            params=kit.ThreadAddStructuredInputParams(
                thread_id=thread_id, item_id=item_id, input=kit.StructuredInputSubmission()
            )
        ),
    ]
    models = get_args(get_args(kit.ChatKitReq)[0])
    known = {model.model_fields["type"].default for model in models}
    assert {request.type for request in unsupported} == known - ANSWERED
    for request in unsupported:
        refusal = reader.refused(request)
        assert refusal == Refusal(501, "not_supported"), f"{request.type}: {refusal}"

    for wrong in (
        message(attachments=["atc_0"]),
        message(" \n "),
        message([]),
        message("x" * 100_000),
        message(quoted_text="x" * 100_000),
    ):
        for request in (
            kit.ThreadsCreateReq(params=kit.ThreadCreateParams(input=wrong)),
            kit.ThreadsAddUserMessageReq(
                params=kit.ThreadAddUserMessageParams(thread_id=thread_id, input=wrong)
            ),
        ):
            refusal = reader.refused(request)
            assert refusal.status in (400, 413), refusal
    same(reader.thread(thread_id), first)
    assert reader.threads().data == [first.thread]
    return {}


if __name__ == "__main__":
    URL, PAGE, scene, QUESTION = sys.argv[1:]
    print(json.dumps(SCENES[scene]()))
