"""Guessing a password: many try at once, few are tried, and the owner gets in all the same."""

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import httpx

from exchange.client import Client
from exchange.services.trust import LIMITS

if TYPE_CHECKING:
    from exchange.day import Day

ELSEWHERE = "127.66.66.66"
"""An address in another network than everybody else's, though on this machine. Where there is none, the guesses come
from the owner's own network, and only the device tells the two apart."""
GUESSES = 20
FREE = LIMITS.free
"""How many fail before strangers have to wait."""


def be_locked_out(day: "Day") -> None:
    """Somebody guesses; then even the right password is not looked at, unless it comes from where its owner has been."""
    owner = day.people[2]
    address = ELSEWHERE if is_ours(ELSEWHERE) else None
    transport = httpx.HTTPTransport(local_address=address, limits=httpx.Limits(max_connections=GUESSES))
    with httpx.Client(base_url=day.gateway, timeout=20.0, transport=transport) as http:
        attacker = Client(http, day.new_id)
        answers = day.together(lambda n: attacker.log_in(owner.name, f"guess number {n}").status_code, range(GUESSES))
        tried, refused = answers.count(httpx.codes.UNAUTHORIZED), answers.count(httpx.codes.TOO_MANY_REQUESTS)
        day.story.add(
            f"{GUESSES} guesses of {owner.name}'s password at once",
            f"{tried} tried, {refused} refused unread",
            as_expected=tried == FREE and tried + refused == GUESSES,
        )
        right = attacker.log_in(owner.name, owner.password)
        day.story.expect("The attacker, locked out, with the right password", right, 429, "rate_limited")
    day.story.expect(f"{owner.name} meanwhile, on a known device", owner.log_in(), httpx.codes.OK)


def is_ours(address: str) -> bool:
    """Return whether this machine can call from *address*: Linux owns all of 127.0.0.0/8, others one address of it."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
