"""Take it home: the commands give the page's numbers, the files hold what they say."""

import csv
import io
import json
import re
import shlex
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app import services
from app.figures import fonts
from app.figures.canvas import save
from app.figures.card import Card, draw_card
from app.figures.static_plot import Lines, PlotWords, static_tradeoff
from app.figures.theme import MacUnit, exit_colour, percent
from app.figures.tradeoff import sweep_csv, tradeoff_figure
from app.replay.ask import Ask
from app.take_home.files import Asked, card_file, commands, html_file, picture_name
from dvt_core.cli import build_parser, main
from dvt_core.crop import Crop
from dvt_core.images import Preprocess
from dvt_core.inference import classify
from dvt_core.samples import list_samples
from dvt_core.solver import pareto_front
from dvt_core.threshold_file import read_thresholds, threshold_document
from dvt_core.thresholds import replay
from tests.ui.driver import TRADEOFF, open_app, sent, setting
from tests.ui.tiny_model import png

ASKS = (
    {"threshold": "0.55"},
    {"ask": "budget", "budget": "60"},
    {"ask": "accuracy", "accuracy": "60.3"},
    {"ask": "each", "each": "0.7,0.35"},
)


@pytest.fixture
def run(capsys):
    """Runs a line that starts with `dvt` and returns its JSON."""

    def run(line: str):
        program, *words = shlex.split(line)
        assert program == "dvt"
        capsys.readouterr()
        assert main([*words, *(() if "--json" in words else ("--json",))]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def tiny(models_dir):
    return services.get_bundle("tiny")


def at_home(page: str | None = None, **query: str):
    """The app with the dialog open, and the lines in it."""
    at = open_app(page, model="tiny", **query)
    at.button(key="take_home").click().run()
    assert not at.exception and not at.error
    return at, [block.value for block in at.code if block.value.startswith("dvt ")]


@pytest.mark.parametrize("query", ASKS, ids=lambda query: query.get("ask", "threshold"))
def test_the_commands_give_the_numbers_of_the_page(tiny, run, tmp_path, monkeypatch, query):
    at, lines = at_home(**query)
    thresholds = setting(at, tiny).thresholds
    by_command = {line.split()[1]: line for line in lines if "--json" not in line}
    told = " ".join(block.value for block in at.markdown)
    here = replay(tiny.table("test"), thresholds)
    assert f"**{percent(here.accuracy)}** at **" in told
    if "thresholds" in by_command:
        solved = run(by_command["thresholds"])
        assert tuple(solved["thresholds"]) == thresholds and query["ask"] in ("budget", "accuracy")
    else:
        assert run(by_command["sweep"]) == [here.to_dict()]
    sample = list_samples(tiny.class_names)[0]
    monkeypatch.chdir(tmp_path)
    line = by_command["classify"]
    (tmp_path / shlex.split(line)[2]).write_bytes(sample.path.read_bytes())
    (entry,) = run(line)
    lanes = [lane["said"] for lane in sent(at, "trace")["lanes"] if lane["said"]]
    assert entry["exit"] == len(lanes)
    assert entry["confidences"] == pytest.approx([lane["confidence"] for lane in lanes])


def test_sweep_csv_is_what_its_command_prints(tiny, run):
    _, lines = at_home(TRADEOFF)
    points = run(next(line for line in lines if "--json" in line))
    table = csv.reader(io.StringIO(sweep_csv(services.get_curve(tiny).shared[:-1])))
    rows = [tuple(map(float, row)) for row in list(table)[1:]]
    assert rows == [
        (point["thresholds"][0], point["accuracy"], point["macs"], *point["exit_shares"])
        for point in points
    ]


def test_a_crop_and_a_folder_of_ones_own_stand_in_the_command(own_folder, run, tmp_path):
    bundle, ask = services.get_bundle(str(own_folder)), Ask("each", 0.5, 50, 60, (0.6, 1.01))
    asked = Asked(ask, 1e8, ask.each, is_solved=False)
    picture = tmp_path / "a b.png"
    picture.write_bytes(png(size=(70, 41)))
    crop = Crop(0.1, 0.9, 1.7)
    (line,) = commands(bundle, asked, picture=str(picture), crop=crop, has_tables=False)
    (entry,) = run(line.line)
    seen = Preprocess.from_config(bundle.config)(Image.open(picture).convert("RGB"), crop)
    wanted = classify(services.get_model(bundle), seen[None], ask.each)[0]
    assert entry["confidences"] == pytest.approx(wanted.confidences)
    asked = replace(asked, thresholds=())
    lines = commands(bundle, asked, has_tables=True, data="cifar10", has_baselines=True)
    for each in lines:  # what is too long to run here is at least understood
        build_parser().parse_args(shlex.split(each.line)[1:])
    assert [each.line.split()[1] for each in lines] == ["sweep", "evaluate", "sweep", "study"]


def test_every_budget_and_accuracy_on_the_dial_is_solved_the_same(tiny):
    front, full = (
        pareto_front(tiny.table("calibration")),
        float(tiny.table("test").info.exit_macs[-1]),
    )
    low = front.points[0].macs
    for number in range(1, 101):
        ask = Ask("budget", 0.5, number, 90 + number / 10, (0.5, 0.5))
        for way in ("budget", "accuracy"):
            asked = Asked(replace(ask, way=way), full, (0.5, 0.5), is_solved=True)
            (line, *_) = commands(tiny, asked, has_tables=True)
            args = build_parser().parse_args(shlex.split(line.line)[1:])
            if way == "accuracy":
                assert args.accuracy == asked.ask.accuracy / 100
            elif args.budget > low:
                assert front.at_budget(args.budget) == front.at_budget(asked.budget)


@pytest.mark.parametrize("query", ASKS, ids=lambda query: query.get("ask", "threshold"))
def test_the_thresholds_file_is_read_back(tiny, tmp_path, query):
    tables = {split: tiny.table(split) for split in ("calibration", "test")}
    ask = Ask(query.get("ask", "threshold"), 0.55, 60, 60.3, (0.7, 0.35))
    asked = Asked(ask, 1e8, (0.7, 0.35), is_solved=False)
    document = threshold_document(
        tiny, (0.7, 0.35), asked=asked.to_dict(), origin="x", tables=tables, date="2026-01-31"
    )
    path = tmp_path / "thresholds.json"
    path.write_text(json.dumps(document))
    assert read_thresholds(path, tiny) == (0.7, 0.35)
    assert document["test"]["n"] == 400 and document["weights_sha256"] == tiny.weights_sha256
    values = {"threshold": 0.55, "budget": 6e7, "accuracy": 0.603, "each": [0.7, 0.35]}
    assert document["asked"] == {"by": ask.way, "value": pytest.approx(values[ask.way])}


def card_of(bundle, threshold: float, name: str = "a picture") -> Card:
    model = services.get_model(bundle)
    image = Image.open(io.BytesIO(png()))
    run = classify(model, model.preprocess(image)[None], threshold)[0]
    seen = Preprocess.from_config(bundle.config).view(image)
    return Card(seen, run, bundle.config, bundle.class_names, bundle.name, name, "2026-01-31")


@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_the_card_tells_what_was_computed_and_no_more(tiny, threshold):
    card = card_of(tiny, threshold, "$x^{$ 100 %.png")  # no mathematics
    canvas = draw_card(card)
    (axes,) = canvas.figure.axes
    texts, run = [text.get_text() for text in axes.texts], card.prediction
    visited = run.exit_index + 1
    assert visited == (1 if threshold == 0 else 3) and len(axes.images) == 3
    assert texts.count("Not computed.") == 3 - visited
    assert sum(text in tiny.class_names for text in texts) == 3 * visited
    assert f"{tiny.class_names[run.label]}, {percent(run.confidence)} sure" in texts
    assert "$x^{$ 100 %.png" in texts
    for index, record in enumerate(run.visited):
        bars = [
            patch.get_width()
            for patch in axes.patches
            if np.allclose(patch.get_facecolor()[:3], _rgb(exit_colour(index)))
            and type(patch).__name__ == "Rectangle"
        ]
        track = max(p.get_width() for p in axes.patches if type(p).__name__ == "Rectangle")
        assert bars == [pytest.approx(track * record.confidence)]
    image = Image.open(io.BytesIO(canvas.save("png")))
    assert image.size == (1600, 900) and image.getpixel((2, 2))[:3] == (255, 255, 255)


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def test_many_people_can_ask_for_their_card_at_once(tiny):
    cards = [card_of(tiny, threshold) for threshold in (0.0, 1.5)] * 2
    alone = [card_file(card, "png") for card in cards[:2]] * 2
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda card: card_file(card, "png"), cards)) == alone


def test_the_still_curve_is_the_pages(tiny):
    table, curve = tiny.table("test"), services.get_curve(tiny)
    here, unit = replay(table, 0.5), MacUnit.of(table.info.exit_macs)
    lines = Lines(curve.shared, curve.solved, curve.exits, here)
    figure = static_tradeoff(lines, unit, PlotWords(title="tiny", source="test"))
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    pages = {trace.name: trace for trace in tradeoff_figure(*lines_of(lines), unit).data}
    for name in ("one shared threshold", "solved thresholds"):
        assert list(drawn[name].get_xdata()) == pytest.approx(list(pages[name].x))
        assert list(drawn[name].get_ydata()) == pytest.approx(list(pages[name].y))
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert texts == {"exit 1 alone", "exit 2 alone", "exit 3 alone", "you are here"}
    root = ET.fromstring(save(figure, "svg"))
    assert root.tag.endswith("svg") and not list(root.iter("{http://www.w3.org/2000/svg}text"))
    empty = static_tradeoff(Lines(), unit, PlotWords())
    assert save(empty, "png").startswith(b"\x89PNG")


def lines_of(lines: Lines):
    return lines.shared, lines.solved, lines.exits, lines.here


def test_the_html_page_needs_no_network(tiny):
    curve = services.get_curve(tiny)
    unit = MacUnit.of(tiny.table("test").info.exit_macs)
    page = html_file(tradeoff_figure(curve.shared, (), curve.exits, None, unit)).decode()
    assert 3e6 < len(page) < 6e6
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page[:5000] + page[-20_000:])
    assert "one shared threshold" in page and '"showSendToCloud": false' in page.replace(
        '":false', '": false'
    )


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("cat (CIFAR-10 no. 1)", "cat_CIFAR-10_no._1.png"),
        ("../../x.JPEG", "x.png"),
        ("$(rm -rf).gif", "rm_-rf.png"),
        ("", "picture.png"),
        ("图片.jpg", "图片.png"),
    ],
)
def test_a_pictures_file_name_is_plain(name, wanted):
    assert picture_name(name, png()) == wanted
    assert shlex.quote(wanted) == wanted or not wanted.isascii()


def test_chinese_is_written_only_where_a_font_has_it(monkeypatch):
    monkeypatch.setattr(fonts, "_SAMPLE", "abc")
    fonts.chinese_font.cache_clear()
    assert fonts.has_chinese() and fonts.families()[0] == fonts.LATIN
    monkeypatch.setattr(fonts, "_SAMPLE", "\U000f0000")  # private: no font has it
    fonts.chinese_font.cache_clear()
    assert not fonts.has_chinese() and fonts.families() == [fonts.LATIN]
    fonts.chinese_font.cache_clear()
