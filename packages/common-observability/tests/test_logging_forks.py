"""Lines stay whole when a process forks while it logs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = """
import logging, os, sys, threading, warnings
# Python warns of exactly what is tried here: a fork beside threads.
warnings.simplefilter("ignore", DeprecationWarning)
from common.observability.logging import configure_logging

CHILDREN, LINES = 15, 5
configure_logging(level="INFO", stream=open(sys.argv[1], "ab"))
log = logging.getLogger("test")
ended = threading.Event()

def talk(name):
    number = 0
    while not ended.is_set():
        log.info("parent", extra={"who": name, "number": number, "filling": "x" * 3000})
        number += 1

talkers = [threading.Thread(target=talk, args=(f"talker-{place}",)) for place in range(2)]
for talker in talkers:
    talker.start()
for child in range(CHILDREN):
    pid = os.fork()
    if pid == 0:
        for number in range(LINES):
            log.info("child", extra={"who": f"child-{child}", "number": number, "filling": "y" * 3000})
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
ended.set()
for talker in talkers:
    talker.join()
"""


def test_children_log_whole_lines_while_another_thread_of_the_parent_logs(
    python: Callable[..., Any], tmp_path: Path
) -> None:
    """No child hangs or loses a line, no line is torn, and none of the parent's comes twice."""
    file = tmp_path / "lines"

    result = python(PROGRAM.replace("sys.argv[1]", repr(str(file))))

    assert 0 == result.returncode, result.stderr
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    written = [(line["who"], line["number"]) for line in lines]
    assert len(written) == len(set(written))
    assert {(f"child-{child}", number) for child in range(15) for number in range(5)} <= set(written)
