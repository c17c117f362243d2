"""The project's order, enforced: who imports whom, how long things are, which words are used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE_FILES = sorted((ROOT / "dvt_core").rglob("*.py"))
APP_FILES = sorted((ROOT / "app").rglob("*.py"))
FILES = CORE_FILES + APP_FILES

# A module imports only what stands before it. A name stands for the module and all inside it,
# unless a longer name is listed too.
ORDER = (
    "dvt_core.errors",
    "dvt_core.bounded_file",
    "dvt_core.whole_file",
    "dvt_core.config",
    "dvt_core.presets",
    "dvt_core.paper",
    "dvt_core.results",
    "dvt_core.macs",
    "dvt_core.model_limits",
    "dvt_core.crop",
    "dvt_core.picture_kinds",
    "dvt_core.avif_size",
    "dvt_core.picture_parts",
    "dvt_core.picture_colours",
    "dvt_core.images",
    "dvt_core.picture_edits",
    "dvt_core.samples",
    "dvt_core.data_sources",
    "dvt_core.class_words",
    "dvt_core.zip_pictures",
    "dvt_core.data_hub",
    "dvt_core.data",
    "dvt_core.pickle_names",
    "dvt_core.tensor_pickle",
    "dvt_core.checkpoint_file",
    "dvt_core.model.tokenizers",
    "dvt_core.model.reuse",
    "dvt_core.model.layers",
    "dvt_core.model.stage",
    "dvt_core.model.cascade",
    "dvt_core.model.switched_off",
    "dvt_core.model.build",
    "dvt_core.model.official_names",
    "dvt_core.model.pretrained",
    "dvt_core.model",
    "dvt_core.relations",
    "dvt_core.authors",
    "dvt_core.table_file",
    "dvt_core.exit_table",
    "dvt_core.thresholds",
    "dvt_core.intervals",
    "dvt_core.released_rule",
    "dvt_core.outcomes",
    "dvt_core.solver",
    "dvt_core.criteria",
    "dvt_core.reference_curves",
    "dvt_core.scenario",
    "dvt_core.simulation",
    "dvt_core.reliability",
    "dvt_core.inference",
    "dvt_core.inspection",
    "dvt_core.evaluate",
    "dvt_core.batch",
    "dvt_core.timing",
    "dvt_core.bundle",
    "dvt_core.threshold_file",
    "dvt_core.study",
    "dvt_core.attach",
    "dvt_core.converted_card",
    "dvt_core.official_checkpoint",
    "dvt_core.training",
    "dvt_core",  # what a script imports: names from the modules above
    "dvt_core.commands.wording",
    "dvt_core.commands",
    "dvt_core.option_types",
    "dvt_core.cli",
    "dvt_core.__main__",
)
NOT_IN_CORE = {"streamlit", "plotly", "captum", "altair", "app"}
# Streamlit draws pages; figures and data stay free of it, pages stay free of models.
NOT_IN_FIGURES = {"streamlit", "torch", "timm"}
NOT_IN_VIEWS = {"torch", "timm", "plotly", "matplotlib", "captum"}

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_PAGE_LINES = 300, 40, 80
LONG_FILES: dict[str, str] = {}  # path -> why it may be longer
LONG_FUNCTIONS: dict[str, str] = {}  # path:function -> why it may be longer

FORBIDDEN_TEXT = {
    r"\.cuda\(": "write .to(device)",
    r"unsafe_allow_html": "build it from Streamlit's own elements",
    r"less_token": "say coarse, or the grid size",
    r"(?<!torch\.)\b(?!torch\.|timm\.|data\.|scriptrunner_)\w*_utils\b": (
        "name a module by its noun"
    ),
}


ALLOWED_TEXT = {  # path -> pattern that it may hold, because
    "dvt_core/model/official_names.py": r"less_token",  # it is the map to the official spelling
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """Every imported module, wherever in the file; `from a import b` gives a.b if b is a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                file = ROOT / Path(*inner.split("."))
                is_module = file.with_suffix(".py").exists() or (file / "__init__.py").exists()
                yield inner if is_module else str(node.module)


def rank(module: str) -> int:
    fitting = [name for name in ORDER if module == name or module.startswith(name + ".")]
    assert fitting, f"{module} is not in ORDER: put it where it belongs"
    best = max(fitting, key=len)
    assert best != "dvt_core" or module == "dvt_core", f"{module} is not in ORDER: put it there"
    return ORDER.index(best)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions_of(path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function, its docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                docstring = node.body[0]
                lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
            yield f"{relative(path)}:{node.name}", lines


@pytest.mark.parametrize("path", CORE_FILES, ids=relative)
def test_core_imports_go_one_way(path: Path) -> None:
    own = module_name(path)
    for imported in imports_of(path):
        assert imported.split(".")[0] not in NOT_IN_CORE, f"{own} imports {imported}"
        if imported.split(".")[0] == "dvt_core":
            assert rank(imported) <= rank(own), f"{own} imports {imported}, which comes later"


@pytest.mark.parametrize("path", APP_FILES, ids=relative)
def test_app_layers_keep_to_their_libraries(path: Path) -> None:
    own = module_name(path)
    forbidden = set()
    if own.startswith("app.figures"):
        forbidden = NOT_IN_FIGURES
    elif own.startswith("app.views"):
        forbidden = NOT_IN_VIEWS
    found = {name.split(".")[0] for name in imports_of(path)} & forbidden
    assert not found, f"{own} imports {', '.join(sorted(found))}"


def test_files_are_short() -> None:
    for path in FILES:
        lines = len(path.read_text().splitlines())
        limit = MAX_PAGE_LINES if relative(path).startswith("app/views/") else MAX_FILE_LINES
        if relative(path) not in LONG_FILES:
            assert lines <= limit, f"{relative(path)} has {lines} lines, split it at {limit}"


def test_functions_are_short() -> None:
    for path in FILES:
        for name, lines in functions_of(path):
            if name not in LONG_FUNCTIONS:
                assert lines <= MAX_FUNCTION_LINES, f"{name} has {lines} lines, split it"


def test_exceptions_have_a_reason_and_are_needed() -> None:
    lines = {relative(path): len(path.read_text().splitlines()) for path in FILES}
    functions = dict(entry for path in FILES for entry in functions_of(path))
    for name, reason in {**LONG_FILES, **LONG_FUNCTIONS}.items():
        assert reason.strip(), f"{name} is listed without a reason"
        assert lines.get(name, 0) > MAX_PAGE_LINES or functions.get(name, 0) > MAX_FUNCTION_LINES, (
            f"{name} is short enough now, take it off the list"
        )


def test_words_we_do_not_use() -> None:
    for path in FILES:
        assert "utils" not in path.stem, f"{relative(path)}: name a module by its noun"
        text = path.read_text()
        for pattern, instead in FORBIDDEN_TEXT.items():
            if pattern == ALLOWED_TEXT.get(relative(path)):
                continue
            hit = re.search(pattern, text)
            assert hit is None, f"{relative(path)}: {hit and hit.group()!r}: {instead}"


def test_identifiers_count_macs() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node, "id", getattr(node, "arg", getattr(node, "name", None)))
            assert "gflops" not in str(name).lower(), f"{relative(path)}: {name}: we count MACs"
