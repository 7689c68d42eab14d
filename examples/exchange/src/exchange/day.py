"""A realistic day at the exchange, driven over HTTP by people who register, pay in, trade, err and cheat."""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeVar

import httpx

from common.core.utils.identifiers import UlidGenerator
from exchange.client import Client
from exchange.market import ListedAsset, Market
from exchange.people import NAMES, OPERATOR, Trader
from exchange.scenes import guesses, machines, sessions
from exchange.story import Story

PAYMENT = Decimal("25000.00")
LIMIT_ORDERS = 3

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class Day:
    """The day: each method is one part of it, in the order of :meth:`parts`."""

    gateway: str
    market: Market
    story: Story
    random: random.Random
    traders: int
    trades_per_day: int
    advance: Callable[[str], None] = lambda text: None
    """Called with what has just been done, for a progress display."""
    new_id: UlidGenerator = field(default_factory=UlidGenerator)
    http: httpx.Client = field(init=False)
    operator: Trader = field(init=False)
    people: list[Trader] = field(init=False)
    feed: Client = field(init=False)
    """The machine that quotes prices."""
    new_key_signs_at: float = 0.0
    """When the key that an operator has made begins to sign, on the monotonic clock."""

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
        self.http = httpx.Client(base_url=self.gateway, timeout=20.0, limits=limits)
        self.operator = self._person(OPERATOR)
        self.feed = self.device()
        self.people = [self._person(NAMES[n] if n < len(NAMES) else f"trader-{n}") for n in range(self.traders)]

    def _person(self, name: str) -> Trader:
        return Trader(name, self.device())

    def device(self) -> Client:
        """Return a client that nobody has used yet."""
        return Client(self.http, self.new_id)

    def parts(self) -> Sequence[tuple[str, Callable[[], None]]]:
        """Return the parts of the day with their titles."""
        return (
            ("Registrations", self.register),
            ("Log-ins", self.log_in),
            ("Keys", lambda: machines.get_keys(self)),
            ("Deposits", self.deposit),
            ("Trading", self.trade),
            ("Limit orders", self.use_limit_orders),
            ("Invoices", self.bill),
            ("Refusals", self.be_refused),
            ("Sessions", lambda: sessions.begin_and_end(self)),
            ("Machines", lambda: machines.be_limited(self)),
            ("Attacks", self.attack),
            ("Guesses", lambda: guesses.be_locked_out(self)),
        )

    def steps(self) -> int:
        """Return how often :attr:`advance` will be called."""
        registered_and_logged_in, paid_in = 2 * (self.traders + 1), self.traders
        return registered_and_logged_in + paid_in + len(self.market.days) + LIMIT_ORDERS

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    # The parts --------------------------------------------------------------------------------------------------------

    def register(self) -> None:
        """Everybody signs up at once; a name and an e-mail that are taken are refused."""
        answers = self.together(self._sign_up, [self.operator, *self.people])
        self.story.add(
            f"{len(answers)} people register at once",
            f"{sum(answer.status_code == httpx.codes.CREATED for answer in answers)} accounts, names and e-mails unique",
            as_expected=all(answer.status_code == httpx.codes.CREATED for answer in answers),
        )
        first = self.people[0]
        again = first.client.post("/users", first.profile(email="somebody@else.example"))
        self.story.expect("A name that is taken", again, httpx.codes.CONFLICT)
        impostor = self._person("impostor").profile(email=f"{first.name.upper()}@example.com")
        twin = first.client.post("/users", impostor)
        self.story.expect("An e-mail that is taken, in other letters", twin, httpx.codes.CONFLICT)
        guessable = self.device().post("/users", {**self._person("charles").profile(), "password": "charles" * 3})
        self.story.expect("A password made of the name", guessable, 422, "password_policy")

    def log_in(self) -> None:
        """Everybody logs in; a wrong password and an unknown name get the same answer."""
        self.together(self._start_session, [self.operator, *self.people])
        first = self.people[0].client
        wrong = first.post("/sessions", {"username": self.people[0].name, "password": "not the password"})
        unknown = first.post("/sessions", {"username": "nobody-here", "password": "not the password"})
        self.story.expect("A wrong password", wrong, httpx.codes.UNAUTHORIZED, "invalid_credentials")
        self.story.expect("A name nobody has", unknown, httpx.codes.UNAUTHORIZED, "invalid_credentials")

    def deposit(self) -> None:
        """Everybody pays in; one payment is sent twice and counts once."""
        self.together(self._pay_in, self.people)
        first, key = self.people[0].client, self.new_id()
        once = first.post("/deposits", {"amount": "100.00"}, key=key)
        twice = first.post("/deposits", {"amount": "100.00"}, key=key)
        same = once.json()["entry"] == twice.json()["entry"] and twice.json()["replayed"]
        self.story.add("A deposit sent twice", "the second answer is the first, replayed", as_expected=same)
        other = first.post("/deposits", {"amount": "200.00"}, key=key)
        self.story.expect("Its key with another amount", other, httpx.codes.CONFLICT, "request_id_reused")

    def trade(self) -> None:
        """Every trading day has new prices, then everybody buys and sells at once."""
        statuses: list[int] = []
        for day in self.market.days:
            self.set_prices(day)
            plans = [(trader, *self.plan()) for trader in self.people for _ in range(self.trades_per_day)]
            statuses += self.together(self._submit_planned, plans)
            self.advance(f"{day:%d %b}")
        filled, refused = statuses.count(httpx.codes.CREATED), statuses.count(httpx.codes.CONFLICT)
        self.story.add(
            f"{len(statuses)} concurrent orders, {len(self.market.days)} days of real prices",
            f"{filled} filled, {refused} not covered",
            as_expected=filled > 0 and filled + refused == len(statuses),
        )

    def use_limit_orders(self) -> None:
        """Orders wait for a price: one is filled when it comes, one is cancelled, and one goes on waiting."""
        asset, price = self.market.assets[0], self.market.closes[self.market.days[-1]][self.market.assets[0].id]
        buyer, other, patient = self.people[0], self.people[1], self.people[2]
        placed = self._place(buyer, asset, price * Decimal("0.98"))
        self.story.expect("A limit order below the price", placed, httpx.codes.CREATED)
        cancelled = self._place(other, asset, price * Decimal("0.90"))
        self._place(patient, asset, price * Decimal("0.50"))
        self.operator.client.put(
            f"/prices/{asset.id}", {"price": str((price * Decimal("0.97")).quantize(Decimal("0.01")))}
        )
        matched = self.operator.client.post(f"/matching/{asset.id}")
        self.story.add(
            "The price falls by 3 %",
            f"{matched.json()['filled']} order filled",
            as_expected=matched.json()["filled"] == 1,
        )
        filled = buyer.client.get(f"/orders/{placed.json()['entry']['id']}").json()
        self.story.add("The order that was reached", filled["status"], as_expected=filled["status"] == "COMPLETED")
        gone = other.client.delete(f"/orders/{cancelled.json()['entry']['id']}")
        self.story.expect("The order of somebody who changed their mind", gone, httpx.codes.OK)
        late = buyer.client.delete(f"/orders/{placed.json()['entry']['id']}")
        self.story.expect("Cancelling what is filled already", late, httpx.codes.CONFLICT, "order_conflict")

    def bill(self) -> None:
        """The operator bills everybody; the invoices are an entity type of a stranger's plugin."""
        for number, trader in enumerate(self.people, start=1):
            self._bill(trader, number).raise_for_status()
        self.story.expect("An invoice number that is taken", self._bill(self.people[0], 1), httpx.codes.CONFLICT)
        billed = self.operator.client.get("/invoices").json()["items"]
        self.story.add(
            "Open invoices of Acme's plugin",
            f"{len(billed)} found by its own index",
            as_expected=len(billed) == len(self.people),
        )

    def be_refused(self) -> None:
        """What must not happen is refused, and nothing moves."""
        client = self.people[3 % len(self.people)].client
        before = client.get("/balance").json()
        overdraft = client.post("/withdrawals", {"amount": "99999999.00"})
        self.story.expect("A withdrawal of more than there is", overdraft, httpx.codes.CONFLICT, "insufficient_funds")
        self.story.expect(
            "A negative deposit", client.post("/deposits", {"amount": "-50.00"}), httpx.codes.UNPROCESSABLE_ENTITY
        )
        self.story.expect(
            "A third decimal", client.post("/deposits", {"amount": "1.005"}), httpx.codes.UNPROCESSABLE_ENTITY
        )
        self.story.expect(
            "A JSON number for money", client.post("/deposits", {"amount": 50.1}), httpx.codes.UNPROCESSABLE_ENTITY
        )
        self.story.expect(
            "A trader who sets prices", client.put("/prices/AAPL", {"price": "1.00"}), httpx.codes.FORBIDDEN
        )
        self.story.add("The balance after all that", "unchanged", as_expected=before == client.get("/balance").json())

    def attack(self) -> None:
        """Somebody without a token, and somebody with a forged one, get nowhere."""
        stranger = self.device()
        self.story.expect("No token", stranger.get("/balance"), httpx.codes.UNAUTHORIZED)
        token = self.people[0].client.token or ""
        stranger.token = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
        self.story.expect("A token with a changed signature", stranger.get("/balance"), httpx.codes.UNAUTHORIZED)
        forged = self.http.get(
            "/balance", headers={"Authorization": f"Bearer {token}", "X-User-ID": self.people[1].name}
        )
        self.story.expect("Somebody else's X-User-ID at the gateway", forged, httpx.codes.BAD_REQUEST)

    def attack_service(self, url: str) -> None:
        """Somebody who reached a service behind the gateway's back sends an identity of their own making."""
        forged = httpx.get(f"{url}/orders", headers={"X-User-ID": self.people[0].name, "X-User-Role": "operator"})
        self.story.expect("A forged identity header at a service", forged, httpx.codes.UNAUTHORIZED)
        invented = httpx.get(f"{url}/orders", headers={"X-Identity-Assertion": "eyJhbGciOiJub25lIn0.e30."})
        self.story.expect("An unsigned identity assertion at a service", invented, httpx.codes.UNAUTHORIZED)

    def set_prices(self, day: date) -> None:
        """Let the price feed quote one day's closing prices."""
        for asset, price in self.market.closes[day].items():
            self.feed.put(f"/prices/{asset}", {"price": str(price)}).raise_for_status()

    # What one person does ---------------------------------------------------------------------------------------------

    def _sign_up(self, person: Trader) -> httpx.Response:
        response = person.client.post("/users", person.profile())
        self.advance(f"{person.name} registered")
        return response

    def _start_session(self, person: Trader) -> None:
        person.log_in().raise_for_status()
        self.advance(f"{person.name} logged in")

    def _pay_in(self, person: Trader) -> None:
        person.client.post("/deposits", {"amount": str(PAYMENT)}).raise_for_status()
        self.advance(f"{person.name} paid in")

    def plan(self) -> tuple[ListedAsset, str, str]:
        """Return an asset, a type of order and a quantity at the asset's scale."""
        asset = self.random.choice(self.market.assets)
        type = self.random.choices(("MARKET_BUY", "MARKET_SELL"), weights=(3, 2))[0]
        one = 10**asset.scale
        digits = self.random.randint(max(1, one // 2), 10 * one)  # half a unit of any is worth the smallest order
        return asset, type, str(Decimal(digits).scaleb(-asset.scale))

    def _submit_planned(self, plan: tuple[Trader, ListedAsset, str, str]) -> int:
        trader, asset, type, quantity = plan
        return trader.client.post("/orders", {"asset": asset.id, "type": type, "quantity": quantity}).status_code

    def _bill(self, trader: Trader, number: int) -> httpx.Response:
        bill = {"username": trader.name, "email": f"{trader.name}@example.com", "number": number, "amount": "4.90"}
        return self.operator.client.post("/invoices", bill)

    def _place(self, trader: Trader, asset: ListedAsset, limit: Decimal) -> httpx.Response:
        price = str(limit.quantize(Decimal("0.01")))
        body = {"asset": asset.id, "type": "LIMIT_BUY", "quantity": "1", "limit_price": price}
        response = trader.client.post("/orders", body)
        self.advance(f"{trader.name} waits for {asset.id} at {price}")
        return response

    def together(self, act: Callable[[T], R], things: Iterable[T]) -> list[R]:
        """Do something to all *things* at once, 16 at most."""
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(pool.map(act, things))
