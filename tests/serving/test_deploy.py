"""What deploy/ and the Dockerfile say, against what the app needs and answers; without an engine.

`make replicas` tries the pair for real, docs/operating.md says how the image was tried.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from fnmatch import translate
from pathlib import Path, PurePosixPath

import pytest
import yaml
from streamlit import config
from streamlit.web.server.starlette import starlette_routes

from app.serving import health, probe, status
from scripts.replicas import fill_in

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
TEMPLATE = (ROOT / "deploy" / "nginx.conf.template").read_text()
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
CLUTTER = (
    ".git/config",
    ".venv/bin/python",
    ".streamlit/secrets.toml",
    "app/__pycache__/main.cpython-311.pyc",
    "app/figures/__pycache__/card.cpython-311.pyc",
    "assets/models/cifar10/model.safetensors.partial",
    "data/cifar10/train-0.parquet",
    "runs/a/checkpoint.pt",
    "tests/core/test_macs.py",
    "scripts/bench.py",
    "deploy/compose.yaml",
    "requirements-dev.txt",
    "secret.env",
)


def lines(instruction: str) -> list[str]:
    """What stands behind an instruction of the Dockerfile, in order."""
    return re.findall(rf"^{instruction} +(.+)$", DOCKERFILE, re.MULTILINE)


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return listed.stdout.decode().split("\0")[:-1]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a file through to the builder: the last rule that fits decides."""
    sent = True
    for rule in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = rule.strip().removeprefix("!").strip("/")
        if not pattern or pattern.startswith("#"):
            continue
        parents = [str(part) for part in (PurePosixPath(path), *PurePosixPath(path).parents)]
        anywhere = pattern.removeprefix("**/") if pattern.startswith("**/") else None
        if anywhere:
            hit = any(re.match(translate(anywhere), part) for part in PurePosixPath(path).parts)
        else:
            hit = any(
                part.count("/") == pattern.count("/") and re.match(translate(pattern), part)
                for part in parents
            )
        if hit:
            sent = rule.startswith("!")
    return sent


def is_copied(path: str) -> bool:
    """Whether a COPY from the tree takes a file into the image, or into the stage before it."""
    sources = [word for line in lines("COPY") if "--from" not in line for word in line.split()[:-1]]
    return is_sent(path) and any(path == one or path.startswith(f"{one}/") for one in sources)


def test_the_image_holds_the_program_and_nothing_else() -> None:
    files = tracked()
    inside = {path for path in files if is_copied(path)}
    parts = ("app/", "dvt_core/", "assets/")
    assert inside == {
        path
        for path in files
        if path.startswith(parts) or path in ("requirements.txt", "streamlit_config.toml")
    }
    assert [path for path in CLUTTER if is_copied(path)] == []
    assert [path for path in (*CLUTTER, *files) if is_sent(path) and not is_copied(path)] == []
    for line in lines("COPY"):
        if "--from" not in line:
            *sources, _ = line.split()
            assert all((ROOT / source).exists() for source in sources)


def test_the_container_is_not_root_and_its_settings_exist() -> None:
    assert lines("USER") == ["1000:1000"]
    settings = dict(pair.split("=", 1) for line in lines("ENV") for pair in shlex.split(line))
    known = {option.env_var for option in config._config_options_template.values()}
    own = "\n".join(
        path.read_text() for part in ("app", "dvt_core") for path in (ROOT / part).rglob("*.py")
    )
    for name in settings:
        assert not name.startswith("STREAMLIT_") or name in known
        assert not name.startswith("DVT_") or f'"{name}"' in own
    writable = ("/tmp", settings["DVT_CACHE"])
    for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "HF_HOME", "DVT_CACHE"):
        assert settings[name].startswith(writable)
    assert settings["STREAMLIT_SERVER_ADDRESS"] == "0.0.0.0"
    for app in ("app1", "app2"):
        service = COMPOSE["services"][app]
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert [mount.split(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
        assert [volume.split(":")[1] for volume in service["volumes"]] == [settings["DVT_CACHE"]]


def test_the_health_check_waits_longer_than_a_round_takes() -> None:
    (check,) = lines("HEALTHCHECK")
    assert check.endswith('CMD ["python", "-m", "app.serving.probe"]')
    limit, pause = (
        float(re.findall(rf"--{word}=(\d+)s", check)[0]) for word in ("timeout", "interval")
    )
    assert limit > probe.PATIENCE_S > health.ROUND_S > health.PAGE_S
    assert pause > health.KEPT_S  # or every second question would get the last answer


def test_both_replicas_are_set_up_alike_and_sign_with_one_secret() -> None:
    one, two = (COMPOSE["services"][name] for name in ("app1", "app2"))
    own = {"volumes"}
    assert {key: one[key] for key in one.keys() - own} == {
        key: two[key] for key in two.keys() - own
    }
    assert ":?" in one["environment"]["STREAMLIT_SERVER_COOKIE_SECRET"]  # compose asks for it


def test_every_blank_of_the_nginx_file_is_filled_in() -> None:
    given = {
        name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value)  # nobody set it: its default
        for name, value in COMPOSE["services"]["proxy"]["environment"].items()
    }
    filled = fill_in(TEMPLATE.replace("${DVT_...}", ""), given)
    assert "${" not in filled
    assert filled.count("{") == filled.count("}")
    assert all(f"${{{name}}}" in TEMPLATE for name in given if name.startswith("DVT_"))
    ports = {str(config._config_options_template["server.port"].default_val)}
    assert {given[name].split(":")[1] for name in ("DVT_APP_1", "DVT_APP_2")} == ports


def test_nginx_takes_what_the_app_takes() -> None:
    (upload,) = re.findall(r"location /_stcore/upload_file/ \{(.+?)\n    \}", TEMPLATE, re.DOTALL)
    sizes = re.findall(r"client_max_body_size (\d+)m;", upload)
    config_text = (ROOT / "streamlit_config.toml").read_text()
    limit = int(re.findall(r"^maxUploadSize = (\d+)", config_text, re.MULTILINE)[0])
    wrapping = starlette_routes._MAX_UPLOAD_MULTIPART_OVERHEAD_BYTES // 2**20
    assert sizes == [str(limit + wrapping)]


def location(path: str) -> str:
    """The location that nginx chooses for a path: the exact one, or the longest that fits."""
    server = TEMPLATE.split("\nserver {")[1]
    exact = re.findall(r"location = (\S+) \{", server)
    assert not re.search(r"location [~^]", server)  # they would go before the longest
    prefixes = re.findall(r"location (/\S*) \{", server)
    if path in exact:
        return f"= {path}"
    return max((prefix for prefix in prefixes if path.startswith(prefix)), key=len)


def body(place: str) -> str:
    return re.findall(rf"location {re.escape(place)} \{{(.+?)\}}", TEMPLATE, re.DOTALL)[0]


def test_what_is_the_operators_is_not_passed_on() -> None:
    own = [route.path for route in (*health.ROUTES, *status.ROUTES)]
    theirs = [starlette_routes.ROUTE_METRICS, starlette_routes.ROUTE_SCRIPT_HEALTH]
    for path in (*own, *(f"/{path}" for path in theirs), "/_stcore/agent/interact"):
        assert body(location(path)).strip() == "return 404;", path


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", "/"),
        ("/easy-hard", "/"),
        (f"/{starlette_routes.ROUTE_HEALTH}", f"= /{starlette_routes.ROUTE_HEALTH}"),
        (f"/{starlette_routes.ROUTE_HOST_CONFIG}", f"= /{starlette_routes.ROUTE_HOST_CONFIG}"),
        ("/_stcore/stream", "= /_stcore/stream"),
        ("/_stcore/upload_file/a/b", "/_stcore/upload_file/"),
        ("/static/js/index.js", "/static/"),
    ],
)
def test_each_request_of_a_browser_finds_its_place(path: str, place: str) -> None:
    assert location(path) == place


def test_what_belongs_to_a_session_is_never_asked_of_the_other_replica() -> None:
    for path in ("/media/1.png", "/thumbs/a/b/1.jpg", "/_stcore/upload_file/a/b"):
        assert "@other" not in body(location(path))
        assert "proxy_pass http://dvt_$dvt_replica;" in body(location(path))


def test_the_operating_page_names_every_setting() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    read = set()
    for path in (*(ROOT / "app").rglob("*.py"), *(ROOT / "dvt_core").rglob("*.py")):
        read |= set(re.findall(r"\"(DVT_[A-Z_]+)\"", path.read_text()))
    read |= set(re.findall(r"\$\{(DVT_\w+)[:}]", (ROOT / "deploy" / "compose.yaml").read_text()))
    assert read and {name for name in read if f"`{name}`" not in page} == set()
    assert "STREAMLIT_SERVER_MAX_UPLOAD_SIZE" in page
    for path in re.findall(r"GET (/\S+?)`", page):
        known = {route.path for route in (*health.ROUTES, *status.ROUTES)}
        assert path in {*known, f"/{starlette_routes.ROUTE_HEALTH}"}
