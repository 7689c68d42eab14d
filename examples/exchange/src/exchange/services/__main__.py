"""Run one service: ``python -m exchange.services NAME --fd N``, on a socket that the caller has bound."""

import argparse
import importlib
import os
import signal
import socket
import sys
import threading

from exchange.services.hosting import host

NAMES = ("gateway", "users", "orders", "inventory")


def end_with_parent() -> None:
    """End in good order when standard input is closed: whoever started this process is gone."""
    while os.read(sys.stdin.fileno(), 4096):  # unbuffered: a lock held here would abort an interpreter that ends first
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="exchange.services", description="Run one service of the exchange.")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--fd", type=int, required=True, help="the bound socket that this process inherited")
    arguments = parser.parse_args()
    threading.Thread(target=end_with_parent, daemon=True, name="end-with-parent").start()
    service = importlib.import_module(f"exchange.services.{arguments.name}")
    host(service.build, socket.socket(fileno=arguments.fd))


if __name__ == "__main__":
    main()
