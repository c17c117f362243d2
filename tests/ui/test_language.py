"""Two languages from one file: nothing is missing, nothing is left over, nothing is mixed."""

import ast
import re
import tomllib
from collections import Counter
from functools import cache
from itertools import chain

import pytest

from app import language
from app.benchmarks.imagenet import load_benchmark
from app.benchmarks.served import load_load, load_replicas, load_soak
from app.benchmarks.speed import load_bench
from app.figures.paper_words import claim_words, setting_words, source_words
from app.language import FILE, LANGUAGES, chinese, say_later
from app.live import sentences
from app.sections.microscope_data import SCOPES
from app.sections.paper import EXPERIMENTS
from dvt_core.outcomes import OUTCOMES
from dvt_core.paper import load_paper_results
from dvt_core.picture_edits import EDITS
from dvt_core.samples import list_samples
from dvt_core.scenario import SCENARIOS
from dvt_core.study import VARIANT_WORDS
from tests.ui.driver import LOOK, MODELS, TRADEOFF, open_app, sent
from tests.ui.tiny_model import WORDS
from tests.ui.words import (
    FILES,
    JS_FILES,
    LATER,
    SAY,
    calls,
    code_of,
    literal,
    page_texts,
    raw_text,
    relative,
)

HOLES = re.compile(r"\{(\w+)\}")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ENGLISH_WORD = re.compile(r"[A-Za-z][A-Za-z'-]+")

# Sentences of the library that pages show through say_later.
LIBRARY = {
    *chain.from_iterable((edit.name, edit.words, edit.note) for edit in EDITS.values()),
    *chain.from_iterable((s.title, s.description, s.time_unit) for s in SCENARIOS),
    *VARIANT_WORDS.values(),
    "full cascade",  # dvt_core.simulation.FixedModel
}
# What the paper's file calls its rows; names of models and methods stay as they are.
PAPER = {
    word
    for point in load_paper_results()
    for word in (point.series, point.setting, point.source)
    if word in chinese()
}
POINTS = load_paper_results()


def _python_sentences() -> dict[str, str]:
    """Sentence -> a file that says it."""
    found = {}
    for path in FILES:
        for call in calls(path, SAY, LATER):
            if call.args and (text := literal(call.args[0])) is not None:
                found.setdefault(text, relative(path))
    return found


def _js_sentences() -> dict[str, str]:
    return {text: f"live/{path.name}" for path in JS_FILES for text in sentences(path.name)}


SAID = _python_sentences() | _js_sentences() | dict.fromkeys(LIBRARY, "dvt_core")


def test_say_gets_its_english_literally():
    loose = [
        f"{relative(path)}:{call.lineno}"
        for path in FILES
        if path.name != "language.py"
        for call in calls(path, SAY, LATER)
        if len(call.args) != 1 or literal(call.args[0]) is None
    ]
    assert not loose, "write the sentence in the call, or mark it with later() and use say_later()"


def test_no_sentence_is_missing():
    missing = {}
    for text, file in SAID.items():
        if not chinese().get(text, "").strip():
            missing.setdefault(file, []).append(text)
    assert not missing, "\n".join(
        f"{file}: {len(texts)} sentences are not in strings.toml, the first: {texts[0]!r}"
        for file, texts in sorted(missing.items())
    )


def test_no_sentence_is_left_over():
    assert not sorted(set(chinese()) - set(SAID) - PAPER)


def test_a_sentence_stands_once():
    parts = tomllib.loads(FILE.read_text(encoding="utf-8"))
    counts = Counter(text for part in parts.values() for text in part)
    assert not [text for text, count in counts.items() if count > 1]


def test_both_sides_have_the_same_holes():
    different = {
        text: other
        for text, other in chinese().items()
        if set(HOLES.findall(text)) != set(HOLES.findall(other))
    }
    assert not different


def test_every_hole_is_filled():
    """The values of a call are the sentence's holes; a call without values leaves them open."""
    wrong = []
    for path in FILES:
        for call in calls(path, SAY):
            names = [keyword.arg for keyword in call.keywords]
            text = literal(call.args[0]) if call.args else None
            if text and names and None not in names and set(names) != set(HOLES.findall(text)):
                wrong.append(f"{relative(path)}:{call.lineno} {text!r}")
    assert not wrong


def test_chinese_is_chinese():
    """A sentence without a Chinese character holds names, numbers and signs only."""
    others = [MARKUP.sub(" ", other) for other in chinese().values() if not CHINESE.search(other)]
    assert [
        word for text in others for word in ENGLISH_WORD.findall(text) if word not in NAMES
    ] == []


def test_the_papers_rows_are_said(monkeypatch):
    monkeypatch.setattr(language, "_source", [lambda: "zh"])
    said = {
        *(say_later(point.series) for point in POINTS),
        *map(setting_words, POINTS),
        *map(claim_words, POINTS),
        *(source_words(point.source) for point in POINTS),
        *(source_words(experiment.source) for experiment in EXPERIMENTS),
    }
    names = {"Patch slimming", "与 Patch slimming 同样准确", "与 Patch slimming 同样的计算量"}
    words = re.compile(r"(?:^|[ (])(?!logit\b)[a-z]{2,}")  # of a sentence, not of a name
    assert [text for text in said - names if words.search(text)] == []
    assert len([text for text in said if CHINESE.search(text)]) > 30


# --- English that goes past say -------------------------------------------------------------

TEXT_FUNCTIONS = frozenset(
    """title header subheader markdown caption text write button download_button link_button
    form_submit_button toggle checkbox radio selectbox multiselect slider select_slider
    number_input text_input text_area file_uploader camera_input segmented_control pills
    expander popover tabs metric info warning error success toast spinner progress html
    dialog status""".split()  # noqa: SIM905
)
TEXT_KEYWORDS = {"help", "label", "alt", "placeholder", "caption", "hovertemplate", "title"}
RAW = {  # file -> literal texts that are the same in both languages, because
    "language_choice.py": {"Language / 语言"},  # it is read before a language is chosen
    "main.py": {"· Dynamic ViT Explorer"},  # the name of the app
    "sections/local_folder.py": {"/home/me/models/dvt_t2t_vit_12"},  # a path
}


def _visible(text: str) -> str:
    """What is left for people to read of HTML or Markdown."""
    text = re.sub(r"%\{[^}]*\}", " ", text)
    text = re.sub(r"<style>.*?</style>|<[^>]*(>|$)|^[^<>]*>", " ", text, flags=re.DOTALL)
    return " ".join(re.sub(r":\w+\[|[*`#\]\[]", " ", text).split())


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_english_goes_past_say(path):
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in ("page_link", "switch_page") or ast.unparse(node.func).startswith("logger."):
            continue  # a file; a line for whoever runs the server
        shown = [k.value for k in node.keywords if k.arg in TEXT_KEYWORDS]
        if name in TEXT_FUNCTIONS and node.args:
            shown.append(node.args[0])
        for each in shown:
            text = _visible(raw_text(each))
            if re.search(r"[A-Za-z]{3,}", text) and text not in RAW.get(relative(path), ()):
                found.append(f"{node.lineno}: {text!r}")
    assert not found


SPOKEN = re.compile(
    r"""(?:textContent|innerText|title|ariaLabel|placeholder|alt)\s*[:=]\s*(["'`])(.*?)\1"""
    r"""|setAttribute\(\s*"(?:aria-label|title|aria-valuetext)",\s*(["'`])(.*?)\3"""
)
SENTENCE = re.compile(r"""(?<!say\()(?<!say\(\n)(["'`])([A-Z][a-z]+ [a-z].*?)\1""")


@pytest.mark.parametrize("path", JS_FILES, ids=lambda path: path.name)
def test_no_english_goes_past_say_in_the_browser(path):
    code = re.sub(r"\bsay\(\s*\"(?:[^\"\\]|\\.)*\"", "said(", code_of(path))
    spoken = [match[2] or match[4] for match in SPOKEN.finditer(code)]
    spoken += [match[2] for match in SENTENCE.finditer(code)]
    words = [re.sub(r"\$\{[^}]*\}", "", text) for text in spoken if text]
    assert [text for text in words if re.search(r"[A-Za-z]{3,}", text)] == []
    if "said(" in code and "export default" in code:
        assert "speak(" in code, "take the visitor's sentences first: speak(data)"


# --- sentences are said when they are drawn -------------------------------------------------


def _too_early(path):
    """Calls of say that run once for all visitors: at import, or inside a cached function."""

    def look(node, is_late):
        for child in ast.iter_child_nodes(node):
            inner = is_late
            if isinstance(child, ast.FunctionDef | ast.Lambda):
                cached = [ast.unparse(d) for d in getattr(child, "decorator_list", ())]
                inner = not any("cache" in decorator for decorator in cached)
            if isinstance(child, ast.Call) and getattr(child.func, "id", "") == SAY and not inner:
                yield child.lineno
            yield from look(child, inner)

    return list(look(ast.parse(path.read_text("utf-8")), False))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_nothing_is_said_too_early(path):
    if path.parent.name == "views" or path.name == "main.py":  # these run for every visitor
        return
    assert _too_early(path) == []


# --- the pages ------------------------------------------------------------------------------

# Names, units and formats stay English; so do class words and samples' titles, which are data.
NAMES = frozenset(
    """MAC MACs MMACs GMACs GFLOPs DVT ViT softmax logit ECE CSV PNG JPEG AVIF WebP GIF BMP
    HEIC TIFF MLP LayerNorm GELU ImageNet CIFAR DeiT DynamicViT MSDNet RANet IMTA PVT TNT
    CrossViT LocalViT ResNet Patch slimming Wang Tsinghua Cloud Google Drive README
    localhost https Parquet Ctrl Esc Home NVIDIA Dynamic Explorer Language English Abnar
    Zuidema rollout query key MFLOPs DeiT-small tiny random patch zip CPU Grad-CAM prev
    IMTA-MSDNet Streamlit""".split()  # noqa: SIM905
)
IDS = {*OUTCOMES, *SCOPES}  # words that live components know things by, not shown
PLACES = {
    "look": (LOOK, {}),
    "second picture": (LOOK, {"look_compare": True}),
    "upload": (LOOK, {"from": "upload"}),
    "data set": (LOOK, {"from": "data set"}),
    "curve": (TRADEOFF, {}),
    "resources": (TRADEOFF, {"lab": "changing resources"}),
    "real time": (TRADEOFF, {"lab": "real time"}),
    "model": (MODELS, {}),
    "saves": (MODELS, {"section": "what it saves"}),
    "folder": (MODELS, {"section": "a model folder"}),
    "paper": (MODELS, {"section": "the paper's results"}),
    "design": (MODELS, {"section": "the paper's results", "experiment": "Design of feature reuse"}),
    "speed": (MODELS, {"section": "speed"}),
    "many people": (MODELS, {"section": "many people"}),
    **{name: (f"views/{name}.py", {}) for name in ("easy_hard", "inside", "batch", "lesson")},
}
MARKUP = re.compile(
    r"`[^`]*`|:\w+\[|\$\$.*?\$\$|\*\w\*|\{\w+\}"  # code, formulas, holes for the browser
    r"|\S*[/_=~\d]\S*|\w+\.\w+|[A-Za-z0-9+/=]{24,}",  # paths, anything with digits, packed numbers
    re.DOTALL,
)


@cache
def _data_words():
    """Texts that are data: longest first, as one may be part of another."""
    samples = list_samples()
    texts = {text for s in samples for text in (s.title, s.source, s.licence, s.label)}
    texts |= {label.split(",")[0] for label in texts} | {
        sample.path.parent.name for sample in samples
    }
    texts |= {row.device for row in load_benchmark().throughput}
    stored = (load_bench(), load_load(), load_soak(), load_replicas())
    texts |= {each.origin.device for each in stored if each is not None}
    texts |= {"tiny test model", "random pictures", "Not All Images are Worth 16x16 Words", "patch"}
    return tuple(sorted(texts - {""}, key=len, reverse=True))


def _english(texts):
    """What is English in texts of a page, but for names and data."""
    found = []
    for text in texts:
        rest = text
        for data in _data_words():
            rest = rest.replace(data, " ")
        words = [w for w in ENGLISH_WORD.findall(MARKUP.sub(" ", rest)) if len(w) > 2]
        strange = [w for w in words if w not in NAMES and w not in WORDS and text not in IDS]
        if strange:
            found.append((text[:200], strange))
    return found


@pytest.fixture(scope="module")
def visitor(tiny_folder):
    """One visitor on the tiny model, who walks through all places."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVT_MODELS", str(tiny_folder.parent))
        patch.delenv("DVT_MODEL_ROOT", raising=False)
        yield open_app()


@pytest.mark.parametrize("place", PLACES)
def test_a_page_is_in_one_language(visitor, place):
    """In English, then in Chinese: each holds nothing of the other, also not from a cache."""
    page, chosen = PLACES[place]
    texts = {}
    visitor.session_state["language"] = "en"
    for name, value in chosen.items():
        visitor.session_state[name] = value
    visitor.switch_page(page)
    for spoken in ("en", "zh"):
        visitor.session_state["language"] = spoken
        visitor.run()
        assert not visitor.exception
        texts[spoken] = page_texts(visitor)
    assert _english(texts["zh"]) == []
    assert len([text for text in texts["zh"] if CHINESE.search(text)]) > 10
    assert {text for text in texts["en"] if CHINESE.search(text)} <= {
        LANGUAGES["zh"],
        "Language / 语言",
    }


def test_the_language_is_chosen_and_stays_in_the_link(models_dir):
    at = open_app()
    assert at.title[0].value == "Look" and "language" not in at.query_params
    at.button_group(key="language").set_value("zh").run()
    assert at.title[0].value == "看图" and at.query_params["language"] == "zh"
    at.switch_page(TRADEOFF).run()
    assert at.title[0].value == "权衡" and not at.exception
    assert sent(at, "page_language")["html"] == "zh-CN"
    at.button_group(key="language").set_value("en").run()
    assert at.title[0].value == "Trade-off" and "language" not in at.query_params
    assert open_app(language="Klingon").title[0].value == "Look"


def test_a_choice_stands_in_the_link_under_one_name(models_dir):
    at = open_app(language="zh")
    at.button_group(key="from").set_value("upload").run()
    assert at.query_params["from"] == "upload" and at.button_group(key="from").value == "upload"
    at.button_group(key="language").set_value("en").run()
    assert at.button_group(key="from").value == "upload"
    german = open_app(**{"from": "hochladen"})
    assert german.button_group(key="from").value == "samples" and not german.query_params
