"""What the driver knows beforehand, and how it keeps count: against the library, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dvt_core.images import open_image
from dvt_core.inference import classify
from scripts.load.mirror import Mirror
from scripts.load.pictures import Known, photo
from scripts.load.server import Held
from scripts.load.soak import Soaked
from scripts.load.tally import AT_ONCE, DIAL, PAGE, Tally

SIZE = (320, 240)


def test_a_known_answer_is_what_really_stops(tiny_model):
    for seed in range(4):
        known = Known.of(tiny_model, f"{seed}.jpg", photo(seed, SIZE))
        image = tiny_model.preprocess(open_image(known.data))[None]
        for threshold in np.linspace(0, 1, 21):
            (run,) = classify(tiny_model, image, float(threshold))
            assert known.exit_at((float(threshold),) * 2) == run.exit_index
            assert np.array_equal(known.probs[run.exit_index], run.probs)


def test_every_seed_gives_another_photo_and_always_the_same():
    photos = [photo(seed, SIZE) for seed in range(12)]
    assert len(set(photos)) == 12
    assert photos[3] == photo(3, SIZE)
    assert {max(open_image(each).info["full_size"]) for each in photos} == {320}


def test_a_photo_again_has_the_same_pixels_in_another_file(tiny_model):
    known = Known.of(tiny_model, "a.jpg", photo(1, SIZE))
    others = [known.again(n) for n in range(3)]
    assert len({known.digest, *(each.digest for each in others)}) == 4
    for each in others:
        assert open_image(each.data).tobytes() == open_image(known.data).tobytes()


def test_a_threshold_is_not_put_where_rounding_decides(tiny_model):
    known = Known.of(tiny_model, "a.jpg", photo(1, SIZE))
    sure = float(known.confidences[0])
    assert not known.is_clear(sure)
    assert known.is_clear(sure + 0.01) == (abs(known.confidences[1] - sure - 0.01) > 2e-3)


def test_the_tally_judges_by_the_95th_percentile():
    tally = Tally()
    for n in range(100):
        tally.note(DIAL, 0.2 if n < 94 else 5.0)
        tally.note(PAGE, 9.0)  # no bar
    assert len(tally.missed()) == 1 and "move the threshold" in tally.missed()[0]
    assert tally.rows[DIAL].as_json(DIAL)["p50"] == 0.2
    tally = Tally()
    for n in range(100):
        tally.note(DIAL, 0.2 if n < 96 else 5.0)
    assert tally.missed() == []
    tally.note(AT_ONCE, 0.1, wrong="somebody else's")
    tally.fail(AT_ONCE, "no answer")
    assert tally.missed() == ["1 errors, allowed are none", "1 wrong answers, allowed are none"]
    assert tally.rows[AT_ONCE].as_json(AT_ONCE) == {
        "action": AT_ONCE, "n": 1, "p50": 0.1, "p95": 0.1, "max": 0.1, "errors": 1, "wrong": 1,
        "bar_p95": 1.0,
    }  # fmt: skip


def test_a_soak_fails_by_growth_and_by_what_is_left():
    warm = Held(700, 20, 30, 0)
    grows = [(n, 700 + n / 20) for n in range(0, 2001, 25)]  # 50 MB per 1,000 uploads
    first, last = (np.median([m for n, m in grows if low <= n <= low + 225]) for low in (200, 1775))
    soaked = Soaked(Tally(), warm, warm, grows)
    assert soaked.growth_mb == pytest.approx(last - first) and soaked.missed() == []
    soaked.series[-3] = 1950, 990  # one picture was being decoded
    assert soaked.missed() == []
    soaked.series = [(n, 700 + n / 15) for n in range(0, 2001, 25)]
    soaked.end = replace(warm, threads=60, temporary=1)
    assert [words.split(":")[0].split(" ")[0] for words in soaked.missed()] == [
        "memory", "threads", "temporary",
    ]  # fmt: skip


AGE = 2  # `global.maxCachedMessageAge` of Streamlit


def message(text: str, *path: int, fragment: str = "", cacheable: bool = False) -> ForwardMsg:
    out = ForwardMsg(hash=f"hash of {text}")
    out.delta.new_element.alert.body = text
    out.delta.fragment_id = fragment
    out.metadata.delta_path.extend(path)
    out.metadata.cacheable = cacheable
    return out


def run(page: Mirror, *messages: ForwardMsg, fragment: str = "") -> list[str]:
    start, end = ForwardMsg(), ForwardMsg()
    start.new_session.page_script_hash = "page"
    start.new_session.config.max_cached_message_age = AGE
    if fragment:
        start.metadata.run.fragment_ids.append(fragment)
        end.script_finished = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY
    else:
        end.script_finished = ForwardMsg.FINISHED_SUCCESSFULLY
    for each in (start, *messages, end):
        page.take(each.SerializeToString())
    return [alert.body for alert in page.all("alert")]


def test_the_mirror_forgets_what_a_run_did_not_draw_again():
    page = Mirror()
    first = [message("a", 0, 0), message("b", 0, 1, 0, fragment="f"), message("c", 0, 1, 1)]
    assert run(page, *first, message("d", 0, 2)) == ["a", "b", "c", "d"]
    assert run(page, *first) == ["a", "b", "c"]
    assert run(page, message("e", 0, 1, 5, fragment="f"), fragment="f") == ["a", "c", "e"]
    assert page.finished == 3


def test_the_mirror_resolves_messages_that_are_sent_by_hash():
    page, large = Mirror(), message("large", 0, 0, cacheable=True)
    run(page, large)
    assert page.hashes() == [large.hash]
    again = ForwardMsg(ref_hash=large.hash)
    again.metadata.delta_path.extend((0, 3))
    assert run(page, again) == ["large"] and not page.broken
    for _ in range(3):  # not used any more: the server is told so, and sends it whole
        run(page, message("small", 0, 0))
    assert page.hashes() == []
    assert run(page, again) == [] and len(page.broken) == 1
    assert page.complaints()


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
