"""Gentle business that goes on: what people of a quiet exchange do, one thing after the other, until told to stop."""

import random
import threading
from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import Self

import httpx

from exchange.day import Day
from exchange.market import Market
from exchange.people import Trader
from exchange.scenes import machines
from exchange.story import Story

STOP_SECONDS = 10.0
OVERDRAFT = "99999999.00"


class Traffic:
    """A few people who trade, look, err and log in again, in a thread of their own; a context manager.

    First they register, log in and pay in, as in the day; then something happens *pace* times per second on average.
    """

    def __init__(self, gateway: str, market: Market, chance: random.Random, *, traders: int, pace: float) -> None:
        """Prepare; nothing is sent yet.

        Args:
            gateway: URL of the gateway.
            market: What is traded.
            chance: Decides what happens.
            traders: How many people there are, at least 3.
            pace: How many things happen per second.
        """
        self.story = Story()
        self._day = Day(gateway, market, self.story, chance, traders=traders, trades_per_day=1)
        self._pace = pace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._quotes = 0
        self._owned: dict[tuple[str, str], Decimal] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        self._day.close()

    def _run(self) -> None:
        self._at_the_risk_of_failing(self._open)
        while not self._stopping.wait(self._day.random.expovariate(self._pace)):
            self._at_the_risk_of_failing(self._do_something)

    def _at_the_risk_of_failing(self, act: Callable[[], None]) -> None:
        """Go on whatever becomes of one request: a service that is away is seen on the page, not here."""
        try:
            act()
        except (httpx.HTTPError, ValueError, LookupError):
            self._stopping.wait(1.0)

    def _open(self) -> None:
        """Let everybody in, and quote the first prices."""
        day = self._day
        for part in (day.register, day.log_in, lambda: machines.get_keys(day), day.deposit):
            if self._stopping.is_set():
                return
            part()
        day.set_prices(day.market.days[0])

    def _do_something(self) -> None:
        """Do one of the things that people do; trading and looking are what they do most."""
        chance = self._day.random
        acts = {
            self._trade: 8,
            self._look: 6,
            self._quote: 5,
            self._wait_for_a_price: 2,
            self._match: 2,
            self._overdraw: 1,
            self._log_in_again: 1,
            self._mistype: 1,
        }
        chance.choices(list(acts), list(acts.values()))[0](chance.choice(self._day.people))

    def _trade(self, person: Trader) -> None:
        """Buy, or sell some of what one has: nobody sells all the time what was never theirs."""
        asset, type, quantity = self._day.plan()
        owned = self._owned.setdefault((person.name, asset.id), Decimal(0))
        if owned < Decimal(quantity):
            type = "MARKET_BUY"
        answer = self._post(person, "/orders", {"asset": asset.id, "type": type, "quantity": quantity})
        if answer.is_success:
            self._owned[person.name, asset.id] += Decimal(quantity) * (1 if type == "MARKET_BUY" else -1)
        elif answer.status_code == httpx.codes.CONFLICT:
            person.client.post("/deposits", {"amount": "5000.00"})  # the money has run out

    def _look(self, person: Trader) -> None:
        path = self._day.random.choice(("/portfolio", "/balance", "/orders", "/transactions", "/assets"))
        if person.client.get(path).status_code == httpx.codes.UNAUTHORIZED:
            renew(person)

    def _quote(self, person: Trader) -> None:
        """Let the price feed quote the next price of the file, asset by asset and day by day."""
        market = self._day.market
        day, asset = divmod(self._quotes, len(market.assets))
        self._quotes += 1
        prices = market.closes[market.days[day % len(market.days)]]
        chosen = market.assets[asset].id
        self._day.feed.put(f"/prices/{chosen}", {"price": str(prices[chosen])})

    def _wait_for_a_price(self, person: Trader) -> None:
        """Place a limit order, and cancel it half of the time."""
        market, chance = self._day.market, self._day.random
        asset = chance.choice(market.assets)
        limit = market.closes[market.days[0]][asset.id] * Decimal(chance.choice(("0.95", "0.99", "1.02")))
        body = {"asset": asset.id, "type": "LIMIT_BUY", "quantity": "1", "limit_price": f"{limit:.2f}"}
        placed = self._post(person, "/orders", body)
        if placed.is_success and chance.random() < 0.5:
            person.client.delete(f"/orders/{placed.json()['entry']['id']}")

    def _match(self, person: Trader) -> None:
        operator = self._day.operator
        self._post(operator, f"/matching/{self._day.random.choice(self._day.market.assets).id}", {})

    def _overdraw(self, person: Trader) -> None:
        self._post(person, "/withdrawals", {"amount": OVERDRAFT})

    def _log_in_again(self, person: Trader) -> None:
        person.client.log_out()
        person.log_in()

    def _mistype(self, person: Trader) -> None:
        """Get a password wrong and then right, so that nobody is locked out."""
        person.client.post("/sessions", {"username": person.name, "password": "not the password"})
        person.log_in()

    def _post(self, person: Trader, path: str, body: dict[str, str]) -> httpx.Response:
        answer = person.client.post(path, body)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            renew(person)
        return answer


def renew(person: Trader) -> None:
    """Renew the session of *person*, or begin another: access tokens last for minutes, traffic for hours."""
    if not person.client.renew().is_success:
        person.log_in()
