"""The lesson: right answers against loops and single runs, steps on models of every kind."""

from itertools import combinations
from random import Random

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import services
from app.language import chinese
from app.sections.lesson_pictures import get_sample_runs
from app.teach.lesson import GUESSES, KEPT_GUESSES, steps
from app.teach.lesson_counts import exit_counts, looking_counts
from app.teach.lesson_picks import LEAST_GAP, exits_of, pick_by_confidence, pick_by_exit
from app.teach.questions import Known
from app.teach.quiz import quiz_round
from dvt_core.bundle import Bundle
from dvt_core.images import open_image
from dvt_core.inference import classify
from dvt_core.macs import exit_macs
from dvt_core.thresholds import exit_indices, replay
from tests.ui.driver import open_app, sent
from tests.ui.node import call_js
from tests.ui.tiny_model import WORDS, write_bundle

LESSON = "views/lesson.py"


@pytest.fixture
def tiny(models_dir) -> Bundle:
    return services.get_bundle("tiny")


def _lesson(step: int, **query: str) -> AppTest:
    return open_app(LESSON, step=str(step), **query)


def _text(at: AppTest) -> str:
    return "\n".join(element.value for element in at.markdown)


# --- which pictures are asked about -------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_pick_by_exit_finds_three_with_one_ahead_whenever_there_are(seed):
    random = Random(seed)
    exits = [random.randrange(random.choice((1, 2, 3, 4))) for _ in range(random.choice((3, 4, 9)))]
    chosen = pick_by_exit(exits, random)
    fitting = [
        three
        for three in combinations(range(len(exits)), 3)
        if sum(exits[i] == max(exits[j] for j in three) for i in three) == 1
    ]
    if chosen is None:
        assert not fitting
    else:
        assert tuple(sorted(chosen)) in fitting
        if len(set(exits)) >= 3:
            assert len({exits[i] for i in chosen}) == 3


def test_pick_by_confidence_leaves_no_doubt_which_is_lowest():
    sure = np.random.default_rng(0).random(12).astype(np.float32)
    for seed in range(30):
        chosen = pick_by_confidence(sure, Random(seed))
        assert chosen is not None
        low, middle, _ = sorted(sure[list(chosen)])
        assert middle - low >= LEAST_GAP - 1e-6
    assert pick_by_confidence(np.full(12, 0.5), Random(0)) is None
    assert pick_by_confidence(sure[:2], Random(0)) is None


def test_sample_runs_are_those_of_one_picture_at_a_time(tiny):
    runs, model = get_sample_runs(tiny), tiny.load_model()
    assert len(runs.pictures) >= 6
    for picture, sure, labels in zip(runs.pictures, runs.confidences, runs.labels, strict=True):
        tensor = model.preprocess(open_image(picture.data))[None]
        alone = classify(model, tensor, 1.01, all_exits=True)[0].records
        np.testing.assert_allclose(sure, [record.confidence for record in alone], atol=1e-5)
        assert labels.tolist() == [record.label for record in alone]


# --- what is counted ----------------------------------------------------------------------


@pytest.mark.parametrize("thresholds", [(0.0, 0.0), (0.5, 0.7), (0.9, 0.4), (1.01, 1.01)], ids=str)
def test_counts_are_those_of_a_loop_over_the_pictures(tiny, thresholds):
    table = tiny.table("test")
    leaving, right, kinds, kept, lost = [0] * 3, [0] * 3, {}, 0, 0
    for sure, correct in zip(table.confidences.tolist(), table.correct.tolist(), strict=True):
        exit_index = next((i for i, t in enumerate(thresholds) if sure[i] >= t), 2)
        leaving[exit_index] += 1
        right[exit_index] += correct[exit_index]
        kind = (all(correct), any(correct), correct[-1])
        kinds[kind] = kinds.get(kind, 0) + 1
        kept += correct[exit_index] and not correct[-1]
        lost += correct[-1] and not correct[exit_index]
    counts = exit_counts(table, thresholds)
    assert [(c.leaving, c.right) for c in counts] == list(zip(leaving, right, strict=True))
    assert exits_of(table.confidences, thresholds) == exit_indices(table, thresholds).tolist()
    found = looking_counts(table, thresholds)
    assert found.always_right == kinds.get((True, True, True), 0)
    assert found.helped == kinds.get((False, True, True), 0)
    assert found.overthought == kinds.get((False, True, False), 0)
    assert found.never_right == kinds.get((False, False, False), 0)
    assert (found.kept, found.lost) == (kept, lost)
    assert sum(kinds.values()) == table.n and found.kept <= found.overthought


# --- the quiz -----------------------------------------------------------------------------


def _known(bundle: Bundle, thresholds: tuple[float, ...], *, with_table: bool = True) -> Known:
    runs = get_sample_runs(bundle)
    return Known(
        bundle.config,
        bundle.weights_sha256,
        thresholds,
        bundle.table("test") if with_table else None,
        runs.confidences,
        tuple(picture.name for picture in runs.pictures),
    )


def test_the_quiz_asks_what_the_model_says(tiny):
    known, table, costs = _known(tiny, (0.55, 0.55)), tiny.table("test"), exit_macs(tiny.config)
    model, runs, asked = tiny.load_model(), get_sample_runs(tiny), set()
    for seed in range(25):
        for question, places in ((i.question, i.pictures) for i in quiz_round(known, seed)):
            asked.add(question.id)
            answer, about = question.options[question.right], question.about
            if question.id == "which_exit":
                tensor = model.preprocess(open_image(runs.pictures[places[0]].data))[None]
                run = classify(model, tensor, about[1])[0]
                assert answer == f"exit {run.exit_index + 1}"
            elif question.id == "of_100":
                share = float((table.confidences[:, 0] >= 0.55).mean())
                others = [int(option) for option in question.options if option != answer]
                assert abs(100 * share - int(answer)) <= 0.5
                assert all(abs(100 * share - other) >= 10 for other in others)
            elif question.id == "cost":
                before, after = (replay(table, threshold).macs for threshold in about[1:])
                wanted = "it rises" if after > before else "it falls"
                assert answer == ("it stays the same" if after == before else wanted)
            elif question.id == "tokens":
                assert answer == str(tiny.config.stages[about[1]].grid_size ** 2)
            elif question.id == "times":
                assert answer == f"{costs[-1] / costs[0]:.1f} times"
            elif question.id == "more_right":
                found = (*table.exit_accuracy[::2], replay(table, 0.55).accuracy)
                place = question.options.index(answer)
                assert (found[0], found[2], found[1])[place] == max(found)
            elif question.id == "rule":
                sure = runs.confidences[about[2], 0]
                assert answer == ("exit 1 answers" if sure >= about[1] else "stage 2 computes")
            elif question.id == "surer":
                first, second = (runs.confidences[i, 0] for i in about[1:])
                assert answer == known.names[about[1 if first > second else 2]]
                assert places == about[1:]
                for shown, sure in zip(places, (first, second), strict=True):
                    assert f"{known.names[shown]}: {100 * sure:.1f} %" in question.because
            elif question.id == "classes":
                assert answer == "10"
            else:
                assert (question.id, answer) == ("least", "10.00 %")
    assert len(asked) >= 9, asked


@pytest.mark.parametrize("with_table", [True, False])
@pytest.mark.parametrize("num_exits", [1, 2, 3])
def test_every_model_gets_a_quiz_with_options_that_differ(models_dir, num_exits, with_table):
    bundle = write_bundle(models_dir / "small", num_exits)
    known = _known(bundle, (0.6,) * (num_exits - 1), with_table=with_table)
    for seed in range(12):
        items = quiz_round(known, seed)
        assert 4 <= len(items) <= 6
        assert items == quiz_round(known, seed)
        assert len({item.question.key for item in items}) == len(items)
        for item in items:
            options = item.question.options
            assert len(set(options)) == len(options) >= 2
            assert 0 <= item.question.right < len(options)
    assert {i.question.key for i in quiz_round(known, 1)} != {
        i.question.key for i in quiz_round(known, 2)
    }


def test_a_question_about_two_samples_shows_both(tiny):
    known, at = _known(tiny, (0.6, 0.6)), _lesson(10)
    seed, place, pair = next(
        (seed, place, item.pictures)
        for seed in range(99)
        for place, item in enumerate(quiz_round(known, seed))
        if item.question.id == "surer"
    )
    at.session_state["lesson_quiz"].seed = seed
    at.session_state["lesson_quiz"].place = place
    at.run()
    assert all(f'alt="{known.names[i]}"' in _tiles(at) for i in pair)
    assert _tiles(at).count("<img") == 2 and not at.exception


def test_the_quiz_on_the_page_scores_guesses_only(models_dir):
    at = _lesson(10)
    known = _known(services.get_bundle("tiny"), (0.6, 0.6))
    items = quiz_round(known, at.session_state["lesson_quiz"].seed)
    for number, item in enumerate(items):
        question = item.question
        keys = [b.proto.shortcut for b in at.button if b.key.startswith(question.key)]
        assert keys == [*map(str, range(1, len(question.options) + 1)), ""]
        wrong = (question.right + 1) % len(question.options)
        end = {0: question.right, 1: wrong, 2: "shown"}.get(number, question.right)
        at.button(key=f"{question.key}_{end}").click().run()
        assert question.because in _text(at)
        if number == 2:
            assert "Right so far: 1 of 2." in _text(at)
        if number + 1 < len(items):
            at.button(key="quiz_next").click().run()
    assert f"**All done: {len(items) - 2} of {len(items)} right.**" in _text(at)
    at.button(key="quiz_again").click().run()
    assert "All done" not in _text(at) and "Question 1" in _text(at)
    assert not at.exception


# --- the steps ----------------------------------------------------------------------------


def _walk(at: AppTest) -> list[AppTest]:
    """Goes through all steps by the button; says what each looked like."""
    lesson, seen = steps(), []
    for number, step in enumerate(lesson, 1):
        assert not at.exception and not at.error, (step.id, [e.value for e in at.error])
        assert at.header[0].value == step.title
        assert sent(at, "lesson_bar")["number"] == number
        seen.append((_text(at), [info.value for info in at.info]))
        if number < len(lesson):
            at.button(key="lesson_next").click().run()
    return seen


def test_all_steps_on_a_model_with_one_exit(models_dir):
    write_bundle(models_dir / "small", 1)
    words = {
        step.id: said for step, said in zip(steps(), _walk(_lesson(1, model="small")), strict=True)
    }
    assert "least sure" in words["finest"][0]
    assert words["overthinking"][1] and words["reuse"][1]


def test_all_steps_without_tables_and_with_200_classes(models_dir):
    names = (*WORDS, *(f"class {i}" for i in range(190)))
    folder = write_bundle(models_dir / "small", 2, names).path
    for table in folder.glob("*.parquet"):
        table.unlink()
    words = {
        step.id: said for step, said in zip(steps(), _walk(_lesson(1, model="small")), strict=True)
    }
    for step in ("tradeoff", "shares", "overthinking", "resources"):
        assert "No such results are stored" in words[step][1][0]
    assert "Measured" not in words["confidence"][0]


def test_all_steps_on_three_exits(models_dir):
    words = {step.id: said for step, said in zip(steps(), _walk(_lesson(1)), strict=True)}
    assert all(not infos for _, infos in words.values())
    assert "Measured: on the" in words["confidence"][0]


def test_the_first_guess_is_that_of_stage_1_and_its_record_is_counted(tiny):
    at = _lesson(2)
    table = tiny.table("test")
    record = classify(tiny.load_model(), get_sample_view(tiny), (0.0, 0.0))[0].records[0]
    text = _text(at)
    assert f"Exit 1 answers **{tiny.class_names[record.label]}**" in text
    low = min(max(record.confidence - 0.05, 0.0), 0.9)
    alike = [
        bool(right)
        for sure, right in zip(table.confidences[:, 0], table.correct[:, 0], strict=True)
        if low <= sure <= low + 0.1
    ]
    assert f"right on {100 * sum(alike) / len(alike):.1f} %" in text
    assert f"on the {len(alike)} test pictures" in text


def get_sample_view(bundle: Bundle):
    """The first sample as a tensor."""
    return bundle.load_model().preprocess(open_image(get_sample_runs(bundle).pictures[0].data))[
        None
    ]


def test_the_guess_before_the_reveal_is_judged_by_the_running_model(tiny):
    runs, model = get_sample_runs(tiny), tiny.load_model()
    threshold = next(
        t for t in np.linspace(0.05, 1, 96) if len(set(exits_of(runs.confidences, (t, t)))) == 3
    )
    at = _lesson(3, threshold=f"{threshold:.2f}")
    assert "least sure" not in _text(at) and "exit" not in _tiles(at)
    chosen = pick_by_exit(exits_of(runs.confidences, (round(threshold, 2),) * 2), Random(0))
    assert chosen is not None
    exits = [
        classify(
            model, model.preprocess(open_image(runs.pictures[i].data))[None], round(threshold, 2)
        )[0].exit_index
        for i in chosen
    ]
    right = "ABC"[exits.index(max(exits))]
    wrong = "ABC"[exits.index(min(exits))]
    button = {b.label: b for b in at.button}
    button[f"picture {wrong}"].click().run()
    assert f"**Not so: it is picture {right}.**" in _text(at)
    assert [f"exit {i + 1}" in _tiles(at) for i in exits] == [True] * 3
    at.button(key="lesson_others").click().run()
    assert "Not so" not in _text(at) and not at.exception


def _tiles(at: AppTest) -> str:
    return " ".join(e.value for e in at.html if "dvt-tiles" in e.value and "<style" not in e.value)


def test_the_lab_comes_after_the_guess_and_half_the_compute_is_measured(tiny):
    at = _lesson(5)
    assert not at.get("bidi_component") or "tradeoff" not in str(
        [c.proto.id for c in at.get("bidi_component")]
    )
    at.button[-1 - [b.label for b in at.button][::-1].index("show the answer")].click().run()
    front, table = services.get_front(tiny), tiny.table("test")
    point = replay(table, front.at_budget(exit_macs(tiny.config)[-1] / 2).thresholds)
    loss = 100 * (table.exit_accuracy[-1] - point.accuracy)
    bins = ("less than 0.5", "0.5 to 2", "2 to 5", "more than 5")
    wanted = bins[sum(loss >= edge for edge in (0.5, 2, 5))]
    assert f"**It is: {wanted} points.**" in _text(at)
    assert f"a difference of {loss:.2f} points." in _text(at)
    assert sent(at, "tradeoff")


def test_overthinking_says_what_it_counts(models_dir):
    at = _lesson(8)
    said = next(c.value for c in at.caption if "whatever the threshold" in c.value)
    assert "the page Easy & hard counts at the thresholds in force" in said


# --- the link, the keys, presenter mode ---------------------------------------------------


@pytest.mark.parametrize(("asked", "opened"), [("4", 4), ("99", 10), ("-3", 1), ("x", 1)])
def test_a_link_opens_a_step_and_nonsense_a_working_one(models_dir, asked, opened):
    at = open_app(LESSON, step=asked)
    assert sent(at, "lesson_bar")["number"] == opened
    assert at.header[0].value == steps()[opened - 1].title


def test_guesses_that_are_kept_are_bounded(models_dir):
    at = _lesson(3)
    for _ in range(3):
        at.session_state[GUESSES] = {f"old_{i}": 0 for i in range(KEPT_GUESSES)}
        next(b for b in at.button if b.label == "picture A").click().run()
        assert len(at.session_state[GUESSES]) == KEPT_GUESSES
        at.button(key="lesson_others").click().run()


def test_keys_lead_where_a_remote_means():
    keys = {"ArrowRight": 4, "PageDown": 4, "ArrowLeft": 2, "PageUp": 2, "Home": 1, "End": 10}
    calls = [("stepAfter", [key, 3, 10]) for key in (*keys, "a", "Enter")]
    calls += [("stepAfter", ["PageDown", 10, 10]), ("stepAfter", ["ArrowLeft", 1, 10])]
    calls += [("stepLink", ["http://x/lesson?model=m&step=2&threshold=0.5", 7])]
    *moves, link = call_js(("lesson.js",), calls)
    assert moves == [*keys.values(), None, None, 10, 1]
    assert link == "/lesson?model=m&step=7&threshold=0.5"


def test_the_keys_of_a_remote_are_kept_by_text_fields_only():
    def path(name: str, **more: object) -> list[dict]:
        return [{"localName": name, **more}, {"localName": "div"}]

    free = [path("input", type=kind) for kind in ("range", "checkbox", "radio")]
    free += [path("div"), path("button"), [{}]]
    kept = [path("input", type=kind) for kind in ("text", "number", "search", "url")]
    kept += [path("textarea"), path("select"), path("p", isContentEditable=True)]
    asked = [(one, key) for one in (*free, *kept) for key in ("PageDown", "PageUp")]
    taken = call_js(("lesson.js",), [("isTaken", list(one)) for one in asked])
    assert taken == [one in kept for one, _ in asked]


def test_presenter_mode_shows_what_the_step_needs_and_a_way_out_everywhere(models_dir):
    at = _lesson(1, presenter="true")
    assert not at.title and sent(at, "lesson_bar")["presenting"]
    assert [b.key for b in at.button] == ["lesson_picture"]
    assert "stSidebar" in " ".join(e.value for e in at.html)
    at.switch_page("views/look.py").run()
    assert sent(at, "lesson_bar")["presenting"] and not sent(at, "lesson_bar")["titles"]
    at.toggle(key="presenter").set_value(False).run()
    assert "stSidebar" not in " ".join(e.value for e in at.html)


def test_the_lesson_is_chinese_when_asked(models_dir):
    titles = [step.title for step in steps()]
    at = _lesson(4, language="zh")
    assert at.header[0].value == chinese()[titles[3]] != titles[3]
