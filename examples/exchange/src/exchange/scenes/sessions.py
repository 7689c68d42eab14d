"""Sessions: renewed, stolen, ended, and ended everywhere."""

import json
import time
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING

import httpx

from exchange.client import Client
from exchange.environment import BREACHED

if TYPE_CHECKING:
    from exchange.day import Day

ONE_OF_EACH_SERVICE = ("/balance", "/orders", "/portfolio")
SECONDS_TO_BE_REFUSED = 10.0
"""Reads may be answered for the gateway's cache time after the end of a session, a second; this is more."""
OVER = httpx.codes.UNAUTHORIZED


def begin_and_end(day: "Day") -> None:
    """Live through everything that can happen to a session."""
    be_renewed(day)
    be_stolen(day)
    change_password(day)
    log_out(day)
    log_out_everywhere(day)


def be_renewed(day: "Day") -> None:
    """A renewal gives new tokens, signed by the key that the operator made in the morning; its repetition the same ones."""
    person = day.people[0]
    time.sleep(max(0.0, day.new_key_signs_at - time.monotonic()))
    token, refresh_token = person.client.token or "", person.client.refresh_token or ""
    renewed = person.client.renew()
    earlier = day.device()
    earlier.token = token
    counts = [client.get("/balance").is_success for client in (person.client, earlier)]
    is_new_key = key_id(person.client.token or "") != key_id(token)
    day.story.add(
        f"{person.name} renews a session",
        "tokens by the new key, and the old ones still count",
        as_expected=renewed.is_success and all(counts) and is_new_key,
    )
    again = day.device().renew(refresh_token)
    day.story.add(
        "The same renewal once more, its answer lost",
        "the same tokens",
        as_expected=again.is_success and tokens_of(again) == tokens_of(renewed),
    )


def be_stolen(day: "Day") -> None:
    """A refresh token that has been used twice since was stolen: it ends its session, for the thief and the owner."""
    person, thief = day.people[0], day.device()
    stolen = person.client.refresh_token
    for _ in range(2):
        person.client.renew().raise_for_status()
    day.story.expect("A thief's refresh token, two renewals old", thief.renew(stolen), OVER, "invalid_token")
    newest, payment = person.client.renew(), person.client.post("/deposits", {"amount": "1.00"})
    day.story.add(
        "… ends the whole family",
        f"its newest tokens: {newest.status_code} renewing, {payment.status_code} paying",
        as_expected=newest.status_code == payment.status_code == OVER,
    )
    day.story.expect(f"{person.name} logs in anew", person.log_in(), httpx.codes.OK)


def change_password(day: "Day") -> None:
    """Whoever changes a password has to know the one of today, and everybody with a session has to log in anew."""
    person = day.people[0]
    weak = person.change_password(BREACHED)
    day.story.expect("A new password, known from a breach", weak, httpx.codes.UNPROCESSABLE_ENTITY, "password_policy")
    before, changed = person.password, person.change_password(f"{person.password}, and changed")
    payment, old = person.client.post("/deposits", {"amount": "1.00"}), day.device().log_in(person.name, before)
    day.story.add(
        f"{person.name} changes the password",
        f"the old session: {payment.status_code}, the old password: {old.status_code}",
        as_expected=changed.is_success and payment.status_code == old.status_code == OVER,
    )
    day.story.expect(f"{person.name} logs in by the new one", person.log_in(), httpx.codes.OK)


def log_out(day: "Day") -> None:
    """What is left of a session after its end is worth nothing."""
    person = day.people[1]
    person.client.log_out().raise_for_status()
    payment, renewal = person.client.post("/deposits", {"amount": "1.00"}), person.client.renew()
    day.story.add(
        f"{person.name} logs out",
        f"the tokens of before: {renewal.status_code} renewing, {payment.status_code} paying",
        as_expected=payment.status_code == renewal.status_code == OVER,
    )


def log_out_everywhere(day: "Day") -> None:
    """One word on one device, and every service refuses the others too, which they have just answered."""
    person, other = day.people[1], day.device()
    for device in (person.client, other):
        person.log_in(device).raise_for_status()
    answered = all(other.get(path).is_success for path in ONE_OF_EACH_SERVICE)
    listed = len(person.client.get("/sessions").json()["items"])
    person.client.delete("/sessions").raise_for_status()
    refused, seconds = refused_by_all(other)
    day.story.add(
        f"{person.name} logs out everywhere",
        f"other device: refused by every service in {seconds:.1f} s" if refused else "not refused by all",
        as_expected=answered and listed == 2 and refused,
    )
    day.story.expect(f"{person.name} logs in anew", person.log_in(), httpx.codes.OK)


def refused_by_all(device: Client) -> tuple[bool, float]:
    """Ask every service until all refuse; return whether they did, and after how many seconds."""
    started = time.monotonic()
    while (waited := time.monotonic() - started) < SECONDS_TO_BE_REFUSED:
        if all(device.get(path).status_code == OVER for path in ONE_OF_EACH_SERVICE):
            return True, waited
        time.sleep(0.1)
    return False, waited


def tokens_of(answer: httpx.Response) -> tuple[str, str]:
    """Return access token and refresh token of an answer."""
    body = answer.json()
    return body["access_token"], body["refresh_token"]


def key_id(token: str) -> str:
    """Return the id of the key that has signed *token* (RFC 7515, section 4.1.4)."""
    header = token.partition(".")[0]
    return str(json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])
