"""`make replicas`: what deploy/ describes, on loopback and without containers, during a class.

Two servers and nginx, with deploy/nginx.conf.template as it is. First the class of `make load`, its
long work included, comes through nginx: how long it waits. Then another one, and one visitor in a
real browser. After a third of the time the replica that serves the browser is
killed (SIGKILL); after two thirds it is started again and more people come. Every answer is
checked against the known one, as in scripts/load. What happened goes, with device and date, to
`assets/benchmarks/replicas.json`.

Needs nginx (Debian: nginx-light) and Chromium (scripts/ensure_browser.sh).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts its threads

import torch
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dvt_core.bundle import DEFAULT
from dvt_core.evaluate import device_name
from scripts.load.person import Person
from scripts.load.pictures import Answers
from scripts.load.school_class import Plan, about_here, measure, report, warm_up
from scripts.load.server import ROOT, Elsewhere, Server
from scripts.load.tally import ACTIONS, AT_ONCE, OPEN, Tally
from scripts.load.visitor import Lost
from tests.ui.browser import FLAGS, is_healthy, metric, move, threshold_slider, tile

TEMPLATE = ROOT / "deploy" / "nginx.conf.template"
OUT = ROOT / "assets" / "benchmarks" / "replicas.json"
COOKIE = "dvt_replica"
PAGES = ("", "tradeoff", "models")  # whose files are weighed
IS_DRAWN = "[data-test-script-state=notRunning]"
BETWEEN_TRIES_S = 0.5
PATIENCE_S = 120.0


def fill_in(template: str, values: Mapping[str, str]) -> str:
    """The configuration with `${DVT_...}` filled in, as the nginx image's start script does it.

    Raises:
        KeyError: the template names a value that is not given.
    """
    return re.sub(r"\$\{(DVT_[A-Z_0-9]+)\}", lambda found: values[found[1]], template)


class Replica(Server):
    """One of the servers; it can be killed and started again."""

    def kill(self) -> None:
        """Ends it at once, as a crash does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def start_again(self) -> None:
        """Returns when it is healthy."""
        shutil.rmtree(self._temporary)
        self.__enter__()


class Proxy:
    """nginx before two servers; a context manager."""

    def __init__(self, one: Server, two: Server) -> None:
        """Starts nothing yet."""
        self._folder = tempfile.TemporaryDirectory(prefix="dvt_proxy_")
        inside = Path(self._folder.name)
        self._port = _free_port()
        self._values = {
            "DVT_LISTEN": f"127.0.0.1:{self._port}",
            "DVT_INNER": f"127.0.0.1:{_free_port()}",
            "DVT_APP_1": one.address.removeprefix("http://"),
            "DVT_APP_2": two.address.removeprefix("http://"),
            "DVT_TEMP": str(inside),
            "DVT_NGINX_LOG": str(inside / "access.log"),
            "DVT_COOKIE": "Path=/; HttpOnly; SameSite=Lax",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Proxy:
        """Returns when an answer comes through."""
        inside = Path(self._folder.name)
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise SystemExit("replicas: nginx is not installed (Debian: apt install nginx-light)")
        (inside / "site.conf").write_text(fill_in(TEMPLATE.read_text(), self._values))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "\n".join(f"{kind}_temp_path {inside}/{kind};" for kind in kinds)
        user = f"user {pwd.getpwuid(os.geteuid()).pw_name};" if os.geteuid() == 0 else ""
        (inside / "nginx.conf").write_text(
            f"{user}\ndaemon off;\npid {inside}/pid;\nevents {{}}\n"
            f"http {{\n{places}\ninclude {inside}/site.conf;\n}}\n"
        )
        command = [program, "-c", str(inside / "nginx.conf"), "-e", str(inside / "error.log")]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + 30
        while not is_healthy(self.address):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx did not start: {(inside / 'error.log').read_text()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it, and its folder."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(eq=False)
class Pupil(Person):
    """A person whose browser keeps its cookies, and comes back when the connection is lost.

    Attributes:
        lost: when connections were lost, by the clock.
        back: when an answer was there again.
    """

    lost: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)

    @property
    def replica(self) -> str:
        """ "1" or "2": whose cookie the browser holds; "" before the first visit."""
        return self.cookies.get(COOKIE, "")

    @property
    def cookies(self) -> dict[str, str]:
        """Of the tab; changing it changes what is sent next."""
        return self.tab._line._cookies

    async def reload(self) -> None:
        """Asks again until it is answered; a browser does so by itself, with the same cookies."""
        self.lost.append(time.monotonic())
        cookies = dict(self.cookies)
        while True:
            await self.tab.close()
            self.__post_init__()
            self.cookies.update(cookies)
            try:
                await self.open(OPEN)
                break
            except Lost:
                await asyncio.sleep(BETWEEN_TRIES_S)
        self.back.append(time.monotonic())


@dataclass
class Lesson:
    """What the class and the browser tell each other; times by the clock."""

    victim: str = ""  # "1" or "2": the replica that is to die
    is_settled: threading.Event = field(default_factory=threading.Event)
    is_killed: threading.Event = field(default_factory=threading.Event)
    killed_at: float = 0.0
    seen: dict[str, Any] = field(default_factory=dict)
    failed: BaseException | None = None


def browse(address: str, lesson: Lesson) -> None:
    """A visitor who has moved the threshold and changed pages goes on after the kill."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 720})
        context.set_default_timeout(PATIENCE_S * 1000)
        expect.set_options(timeout=PATIENCE_S * 1000)
        page = context.new_page()
        loads: list[str] = []
        sockets: list[str] = []
        page.on("load", lambda _: loads.append(page.url))
        page.on("websocket", lambda socket: sockets.append(socket.url))
        page.goto(address)
        move(page, "Home")
        expect(metric(page, "Stopped at")).to_have_text("exit 1")
        page.get_by_role("link", name="Trade-off").click()
        expect(tile(page, "picture")).to_have_text("exit 1")
        lesson.victim = _cookie_of(page)
        lesson.is_settled.set()
        if not lesson.is_killed.wait(PATIENCE_S):
            raise RuntimeError("the replica was not killed")
        while len(sockets) < 2:  # the browser connects again by itself
            page.wait_for_timeout(20)
        lesson.seen["seconds_until_connected"] = round(time.monotonic() - lesson.killed_at, 2)
        page.wait_for_timeout(500)
        page.wait_for_selector(f"[data-test-connection-state=CONNECTED]{IS_DRAWN}")
        expect(threshold_slider(page)).to_have_attribute("aria-valuetext", "0.00")
        page.get_by_role("link", name="Look").click()
        expect(metric(page, "Stopped at")).to_have_text("exit 1")  # from the other replica
        lesson.seen["seconds_until_next_page"] = round(time.monotonic() - lesson.killed_at, 2)
        lesson.seen["threshold_kept"] = threshold_slider(page).get_attribute("aria-valuetext")
        lesson.seen["moved_to_other_replica"] = _cookie_of(page) != lesson.victim
        move(page, "End")
        expect(threshold_slider(page)).to_have_attribute("aria-valuetext", "1.00")
        lesson.seen["reloads"] = len(loads) - 1
        browser.close()


def _browse(address: str, lesson: Lesson) -> None:
    try:
        browse(address, lesson)
    except BaseException as error:  # told by the main thread
        lesson.failed = error
        lesson.is_settled.set()


def _cookie_of(page: Page) -> str:
    return next(c["value"] for c in page.context.cookies() if c["name"] == COOKIE)


def _chromium() -> str:
    command = ["bash", "scripts/ensure_browser.sh"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def weigh(addresses: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """MB (10^6 bytes) that a browser with an empty cache receives for a page: page -> way -> MB."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        return {
            f"/{path}": {way: _weight(browser, f"{to}/{path}") for way, to in addresses.items()}
            for path in PAGES
        }


def _weight(browser: Browser, url: str) -> float:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_S * 1000)
    page, sizes = context.new_page(), []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(url)
    page.wait_for_selector(f"[data-testid=stApp]{IS_DRAWN} h1")
    page.wait_for_load_state("networkidle")
    context.close()
    return round(sum(sizes) / 1e6, 2)


async def _wait_as_in_load(
    proxy: Proxy, replicas: Mapping[str, Replica], users: int, answers: Answers
) -> tuple[dict[str, Any], int]:
    """`make load` against the pair: its "rows" and "long_work", and how much went wrong."""
    for replica in replicas.values():
        await warm_up(answers, replica.address)
    plan = Plan(users=users)
    measured = await measure(plan, answers, Elsewhere(proxy.address))
    print(f"a class:\n{measured.tally.table()}\ndriver: {measured.driver_cpu:.2f} of a core")
    told = report(plan, DEFAULT, measured, {})
    rows = {name: told[name] for name in ("rows", "long_work")}
    return rows, measured.tally.errors + measured.tally.wrong


async def hold_class(
    proxy: Proxy, replicas: Mapping[str, Replica], users: int, seconds: float, answers: Answers
) -> dict[str, Any]:
    """The trial with the kill; what happened."""
    before, after = Tally(), Tally()
    pupils = _pupils("a", users, answers, before, proxy.address)
    # Drawing their photos later would hold up this program, and with it everybody's pings.
    late = _pupils("b", users, answers, after, proxy.address)
    await asyncio.gather(*(pupil.open(AT_ONCE) for pupil in pupils))
    drawn = Counter(pupil.replica for pupil in pupils)
    lesson = Lesson()
    visitor = threading.Thread(target=_browse, args=(proxy.address, lesson))
    visitor.start()
    work = [asyncio.create_task(_stay(pupil, seconds)) for pupil in pupils]
    await asyncio.gather(
        asyncio.sleep(seconds / 3), asyncio.to_thread(lesson.is_settled.wait, PATIENCE_S)
    )
    _raise(lesson)
    hit = [pupil for pupil in pupils if pupil.replica == lesson.victim]
    for pupil in pupils:
        pupil.tally = after
    lesson.killed_at = time.monotonic()
    replicas[lesson.victim].kill()
    lesson.is_killed.set()
    await asyncio.to_thread(visitor.join)
    _raise(lesson)
    await asyncio.sleep(max(0.0, lesson.killed_at + seconds / 3 - time.monotonic()))
    await asyncio.to_thread(replicas[lesson.victim].start_again)
    await asyncio.gather(*(pupil.open() for pupil in late))
    await asyncio.gather(*(_stay(pupil, seconds / 3) for pupil in late), *work)
    return _report(lesson, (before, after), hit, drawn, Counter(pupil.replica for pupil in late))


def _pupils(row: str, n: int, answers: Answers, tally: Tally, address: str) -> list[Pupil]:
    names = [f"{row}{number}" for number in range(n)]
    think_s = Plan.think_s
    return [Pupil(n, answers, answers.photos(n, 2), tally, address, think_s) for n in names]


async def _stay(pupil: Pupil, seconds: float) -> None:
    try:
        await pupil.stay(seconds)
    finally:  # the lesson is over
        await pupil.tab.close()


def _raise(lesson: Lesson) -> None:
    if lesson.failed is not None:
        raise lesson.failed


def _report(
    lesson: Lesson,
    tallies: tuple[Tally, Tally],
    hit: list[Pupil],
    drawn: Counter[str],
    late: Counter[str],
) -> dict[str, Any]:
    before, after = tallies
    print(f"before the kill:\n{before.table()}\n\nafter it:\n{after.table()}")
    back = [pupil.back[0] - lesson.killed_at for pupil in hit if pupil.back]
    took = [pupil.back[0] - pupil.lost[0] for pupil in hit if pupil.back]
    return {
        "users": sum(drawn.values()),
        "on_each_replica": dict(drawn),
        "rows_until_kill": [before.rows[a].as_json(a) for a in ACTIONS if a in before.rows],
        "on_the_killed_one": len(hit),
        "errors_before_kill": before.errors,
        # An action that was under way, or the first one on the dead connection, is lost.
        "actions_lost_by_the_kill": sum(len(pupil.lost) > 0 for pupil in hit),
        "errors_after_kill": after.errors - sum(len(pupil.lost) > 0 for pupil in hit),
        "wrong_answers": before.wrong + after.wrong,
        "came_back": len(back),
        "seconds_until_all_back": round(max(back, default=0.0), 2),
        "seconds_to_come_back": round(max(took, default=0.0), 2),
        "users_after_restart": sum(late.values()),
        "of_them_on_each_replica": dict(late),
        "browser": lesson.seen,
    }


def main() -> int:
    """Runs the trial, prints and writes what happened; 1 if anybody was let down."""
    parser = argparse.ArgumentParser(prog="scripts.replicas", description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    answers = Answers.of(DEFAULT)
    with Replica() as one, Replica() as two, Proxy(one, two) as proxy:
        print(f"{proxy.address} before {one.address} and {two.address}", flush=True)
        replicas = {"1": one, "2": two}
        waited, failed = asyncio.run(_wait_as_in_load(proxy, replicas, args.users, answers))
        happened = asyncio.run(hold_class(proxy, replicas, args.users, args.seconds, answers))
        happened["gzip"] = weigh({"direct_mb": one.address, "through_nginx_mb": proxy.address})
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    told = {**about_here(device_name(torch.device("cpu")), commit), **waited, **happened}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))
    let_down = told["errors_before_kill"] + told["errors_after_kill"] + told["wrong_answers"]
    let_down += failed
    return int(let_down > 0 or told["came_back"] < told["actions_lost_by_the_kill"])


if __name__ == "__main__":
    sys.exit(main())
