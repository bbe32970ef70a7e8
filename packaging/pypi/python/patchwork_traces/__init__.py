"""Runs patchwork-traces, which bundles, restores, verifies and searches the trace logs of Patchwork OS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib import metadata
from typing import Any

__all__ = ["program", "run"]

#: 3: done, but the result needs a person, and says why.
_DONE = (0, 3)


def program() -> str:
    """Returns the path of the program. Raises FileNotFoundError if it is not where an installer puts it."""
    name = "patchwork-traces" + (sysconfig.get_config_var("EXE") or "")
    # `pip install --target DIR` puts programs in DIR/bin, but records another place.
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin", name)
    for path in (*_recorded(name), os.path.join(sysconfig.get_path("scripts"), name), beside):
        if os.path.isfile(path):
            return str(path)
    raise FileNotFoundError(f"{name} is not installed where Python looks for programs: install patchwork-traces again")


def _recorded(name: str) -> list[str]:
    """Returns where the installer says that it put the program."""
    try:
        files = metadata.files("patchwork-traces") or []
    except metadata.PackageNotFoundError:
        return []
    return [os.path.normpath(str(file.locate())) for file in files if file.name == name]


def run(args: Sequence[str | os.PathLike[str]], **options: Any) -> Any:
    """Runs a command with --json and returns the object that it prints.

    ``options`` are those of :func:`subprocess.run`; without ``input`` or ``stdin``, standard input is empty. Raises
    :class:`subprocess.CalledProcessError` if the command fails, and :class:`ValueError` if it prints anything else than one
    object.
    """
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([program(), "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode not in _DONE:
        done.check_returncode()
    return json.loads(done.stdout)
