"""What a browser says it has is believed only where it still has it when the answer comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from app.serving.sent_once import Kept
from scripts.load.mirror import Mirror
from tests.core.examples import some

PAGES = st.integers(0, 3)


class Visit:
    """A browser and a server with a slow network between them; each page has one large message.

    As Streamlit does, the server runs one page at a time, lets a newer request replace one that
    waits, and cuts a running page short where it can.
    """

    def __init__(self, age: int, *, is_filtered: bool = True) -> None:
        self.browser, self.kept, self.age = Mirror(), Kept(age), age
        self._is_filtered = is_filtered
        self._asked: list[bytes] = []  # on the way to the server
        self._held: list[bytes] = []  # by the server, for the network takes no more
        self._sent: list[bytes] = []  # on the way to the browser
        self._waits: tuple[int, list[str]] | None = None
        self._runs = False
        self.refs = 0

    def press(self, page: int) -> None:
        """The browser asks for a page."""
        message = BackMsg()
        message.rerun_script.query_string = str(page)
        message.rerun_script.cached_message_hashes.extend(self.browser.hashes())
        self._asked.append(message.SerializeToString())

    def arrive(self) -> None:
        """The oldest request reaches the server."""
        if not self._asked:
            return
        raw = self._asked.pop(0)
        if self._is_filtered:
            raw = self.kept.receive(raw, is_held_up=bool(self._held))
        state = BackMsg.FromString(raw).rerun_script
        self._waits = int(state.query_string), list(state.cached_message_hashes)

    def end(self, *, is_cut_short: bool = False) -> None:
        """The run in progress, if any, comes to its end."""
        if self._runs:
            status = ForwardMsg.FINISHED_SUCCESSFULLY
            if is_cut_short and self._waits is not None:
                status = ForwardMsg.FINISHED_EARLY_FOR_RERUN
            self._send(ForwardMsg(script_finished=status))
        self._runs = False

    def begin(self) -> None:
        """The request that waits is answered, all but the end."""
        if self._runs or self._waits is None:
            return
        (page, believed), self._waits, self._runs = self._waits, None, True
        start = ForwardMsg()
        start.new_session.config.max_cached_message_age = self.age
        self._send(start)
        large = ForwardMsg(hash=f"hash {page}")
        large.delta.new_element.alert.body = str(page)
        large.metadata.cacheable = True
        if large.hash in believed:
            large = ForwardMsg(ref_hash=large.hash)
            self.refs += 1
        large.metadata.delta_path.append(0)
        self._send(large)

    def take(self) -> None:
        """The network takes the oldest message."""
        if self._held:
            self._sent.append(self._held.pop(0))
            self.kept.send(self._sent[-1])

    def deliver(self) -> None:
        """The oldest message reaches the browser."""
        if self._sent:
            self.browser.take(self._sent.pop(0))

    def _send(self, message: ForwardMsg) -> None:
        self._held.append(message.SerializeToString())

    def rest(self) -> None:
        """All that is on the way comes, and all that was asked is answered."""
        while self._asked or self._waits is not None or self._runs or self._held or self._sent:
            self.arrive()
            self.end()
            self.begin()
            while self._held or self._sent:
                self.take()
                self.deliver()

    def go(self, page: int) -> None:
        """Asks for a page and waits for it."""
        self.press(page)
        self.rest()
        self.shows(page)

    def shows(self, page: int) -> None:
        assert [each.body for each in self.browser.all("alert")] == [str(page)]


STEPS = st.one_of(
    st.tuples(st.just("press"), PAGES),
    st.tuples(st.sampled_from(("arrive", "end", "begin", "take", "deliver", "rest", "cut"))),
)


@some(400)
@given(st.lists(STEPS, max_size=60), st.sampled_from((2, 3, 6)))
def test_no_answer_names_what_the_browser_has_thrown_away(steps, age):
    visit = Visit(age)
    for name, *page in steps:
        if name == "cut":
            visit.end(is_cut_short=True)
        else:
            getattr(visit, name)(*page)
    visit.rest()
    assert visit.browser.broken == []
    visit.go(0)


def _press_while_a_run_ends(visit: Visit) -> None:
    """Another page for just so long that the first one's message is thrown away as it is asked."""
    visit.go(0)
    for _ in range(visit.age - 1):
        visit.go(1)
    visit.press(1)
    visit.arrive()
    visit.begin()
    visit.end()  # on the way when the browser asks for the first page again
    visit.press(0)
    visit.rest()


@pytest.mark.parametrize("age", [2, 20])
def test_without_it_three_presses_break_a_page(age):
    """The fault itself, so that the test above can fail."""
    believing, doubting = Visit(age, is_filtered=False), Visit(age)
    _press_while_a_run_ends(believing)
    _press_while_a_run_ends(doubting)
    assert len(believing.browser.broken) == 1
    assert doubting.browser.broken == []
    doubting.shows(0)


@pytest.mark.parametrize("age", [2, 3, 6, 20])
@pytest.mark.parametrize("runs", range(24))
def test_a_network_that_takes_no_more_breaks_no_page(age, runs):
    """The ends of runs that the browser has not seen are not even on their way."""
    visit = Visit(age)
    visit.go(0)
    for page in (*[1] * runs, 0):
        visit.press(page)
        visit.arrive()
        visit.begin()
        visit.end()
    visit.rest()
    assert visit.browser.broken == []
    visit.shows(0)


def test_what_was_used_lately_is_not_sent_again():
    visit = Visit(20)
    for _ in range(3):
        for page in (0, 1, 2):
            visit.go(page)
    assert visit.refs == 6


def test_other_messages_pass_as_they_are():
    kept, message = Kept(20), BackMsg()
    message.load_git_info = True
    for data in (message.SerializeToString(), b"\xff no message", b""):
        kept.send(data)
        assert kept.receive(data, is_held_up=False) is data
