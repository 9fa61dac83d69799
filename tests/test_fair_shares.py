"""Tags of start-time fair queueing, and the order that follows from them."""

import itertools
import random
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from clients import FakeClock, Steps
from fair_simulation import MODEL, Job, fair
from xinflight.tasks import fair_shares
from xinflight.tasks.fair_shares import FairShares
from xinflight.tasks.scheduler import Scheduler
from xinflight.tasks.service_chain import Service, ServiceChain

_sequence = itertools.count()


def job(owner: str, seconds: float = 1.0, *, weight: float = 1.0, priority: int = 0, rank: float = 0.0) -> Job:
    return Job(
        owner=owner,
        sequence=next(_sequence),
        seconds=seconds,
        estimate=seconds,
        weight=weight,
        priority=priority,
        rank=rank,
    )


def make(slots: int = 1, *jobs: Job) -> tuple[Scheduler[Job], FakeClock]:
    clock = FakeClock()
    scheduler = fair(clock)
    scheduler.set_slots({MODEL: slots})
    for each in jobs:
        scheduler.add(each)
    return scheduler, clock


def take(scheduler: Scheduler[Job]) -> Job:
    taken = scheduler.take()
    assert taken is not None
    return taken[0]


def run_all(scheduler: Scheduler[Job], clock: FakeClock) -> str:
    """Let everything run on one slot, as long as it takes; return the owners in their order."""
    owners = ""
    while (taken := scheduler.take()) is not None:
        clock.now += taken[0].seconds
        scheduler.release(taken[0], MODEL, taken[0].seconds)
        owners += taken[0].owner
    return owners


# Who is next


def test_owners_share_seconds_and_not_outputs() -> None:
    scheduler, clock = make(1, *(job("a", 4.0) for _ in range(3)), *(job("b", 1.0) for _ in range(9)))
    assert run_all(scheduler, clock) == "abbbbabbbbab"


def test_the_weight_is_that_of_the_newest() -> None:
    scheduler, clock = make(1, *(job("a", weight=0.1) for _ in range(4)), job("a", weight=3.0))
    for _ in range(3):
        scheduler.add(job("b"))
    assert run_all(scheduler, clock) == "abaabaab"


def test_priority_and_rank_act_inside_one_owner() -> None:
    jobs = {
        name: job(name[0], priority=priority, rank=rank)
        for name, priority, rank in [
            ("a1", 0, 2.0),
            ("a2", 0, 1.0),
            ("a3", 100, 9.0),
            ("b1", 0, 5.0),
            ("b2", -5, 0.0),
        ]
    }
    scheduler, _ = make(5, *jobs.values())
    names = {each.sequence: name for name, each in jobs.items()}
    assert [names[take(scheduler).sequence] for _ in jobs] == ["a3", "b1", "a2", "b2", "a1"]


def test_who_was_idle_has_saved_nothing() -> None:
    scheduler, clock = make(1, *(job("a") for _ in range(10)))
    for _ in range(4):
        clock.now += 1.0
        scheduler.release(take(scheduler), MODEL, 1.0)
    for _ in range(3):
        scheduler.add(job("b"))
    assert run_all(scheduler, clock) == "bababaaaa"


def test_a_pause_wipes_out_no_debt() -> None:
    """Neither one's own nor one of the whole pool."""
    scheduler, clock = make(1, job("a", 50.0))
    scheduler.release(take(scheduler), MODEL, 50.0)
    clock.now += 3600.0
    for _ in range(3):
        scheduler.add(job("a", 10.0))
        scheduler.add(job("b", 10.0))
    assert run_all(scheduler, clock) == "bbbaaa"


def test_what_runs_longer_than_estimated_is_charged_on() -> None:
    """Else whoever asks for what is not known to take long would fill one slot after the other with it."""
    scheduler, clock = make(2)
    long, short = job("a", 1.0), job("b", 10.0)
    for each in (long, short, job("a", 1.0), job("b", 10.0)):
        scheduler.add(each)
    assert [take(scheduler) for _ in range(2)] == [long, short]
    clock.now += 5.0
    assert next(scheduler.order()).owner == "a", "5 s so far, and b 10 s as estimated"
    clock.now += 5.0
    scheduler.release(short, MODEL, 10.0)
    clock.now += 1.0
    assert next(scheduler.order()).owner == "b", "10 s, and a 11 s so far"
    assert take(scheduler).owner == "b"


def test_what_was_estimated_too_high_is_paid_back() -> None:
    scheduler, clock = make(1)
    wrong = job("a", 600.0)
    for each in (wrong, job("a"), job("b"), job("b")):
        scheduler.add(each)
    assert take(scheduler) is wrong
    clock.now += 1.0
    scheduler.release(wrong, MODEL, 0.5)
    assert run_all(scheduler, clock) == "bab"


def test_what_is_paid_back_is_no_saving() -> None:
    """An owner comes again while its first output, estimated too high, still runs: it starts at the virtual time."""
    scheduler, clock = make(2)
    wrong = job("a", 100.0)
    scheduler.add(wrong)
    take(scheduler)
    for _ in range(60):
        scheduler.add(job("b", 1.0))
    for _ in range(50):
        clock.now += 1.0
        scheduler.release(take(scheduler), MODEL, 1.0)
    scheduler.add(job("a", 1.0))
    assert scheduler.shares.virtual_time == 49.0
    assert scheduler.shares.place("a")[1] == 100.0
    scheduler.release(wrong, MODEL, 10.0)
    assert scheduler.shares.place("a")[1] == 49.0, "not the 10 that it has used"


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_nobody_who_comes_waits_for_what_was_estimated_too_high(slots: int) -> None:
    """Although all that runs ends in the same moment, and was charged so far as if it took a minute."""
    jobs = [job("a", 60.0) for _ in range(500)]
    scheduler, clock = make(slots, *jobs)
    running = [take(scheduler) for _ in range(slots)]
    for owner in "bcb":
        scheduler.add(job(owner, 60.0))
    clock.now += 2.0
    for each in running:
        scheduler.release(each, MODEL, 2.0)
    predicted = [each.owner for each in itertools.islice(scheduler.order(), slots)]
    assert [take(scheduler).owner for _ in range(slots)] == predicted
    assert "".join(predicted) == {1: "b", 2: "bc", 8: "bcabaaaa"}[slots]


def test_equal_tags_go_by_who_waits_longer() -> None:
    scheduler, clock = make(1, *(job(owner) for owner in "abc" for _ in range(3)))
    assert run_all(scheduler, clock) == "abcabcabc"


@pytest.mark.parametrize("seed", range(20))
def test_the_predicted_order_is_that_of_the_dispatch(seed: int) -> None:
    dice = random.Random(seed)
    scheduler, clock = make(1)
    for _ in range(100):
        owner, seconds = dice.choice("abcdef"), dice.choice([1.0, 2.0, 3.0])
        scheduler.add(job(owner, seconds, priority=dice.choice([0, 1]), rank=dice.random()))
        if dice.random() < 0.3 and (taken := scheduler.take()) is not None:
            clock.now += taken[0].seconds
            scheduler.release(taken[0], MODEL, taken[0].seconds)
    predicted = [each.sequence for each in scheduler.order()]
    assert len(predicted) == len(scheduler)
    made = []
    while (taken := scheduler.take()) is not None:
        made.append(taken[0].sequence)
        clock.now += taken[0].seconds
        scheduler.release(taken[0], MODEL, taken[0].seconds)
    assert made == predicted


# The arithmetic


def finish_tag(services: Iterable[Service]) -> float:
    """Return the finish tag after services, one by one."""
    tag = 0.0
    for service in services:
        tag = max(tag, service.floor) + service.cost
    return tag


def test_the_tags_of_a_chain_are_those_of_all_services_since_the_beginning() -> None:
    """Whatever is corrected and ends meanwhile, and however few of them the chain remembers."""
    dice = random.Random(3)
    for _ in range(100):
        chain, whole, copies = ServiceChain(), list[Service](), list[Service]()
        for _ in range(dice.choice([3, 60])):
            whole.append(Service(dice.uniform(0.0, 90.0), dice.uniform(0.0, 9.0), 1.0))
            chain.append(whole[-1])
            # What ended is merged into others: the copies keep their own.
            copies.append(replace(whole[-1]))
            for service, copy in zip(whole, copies, strict=True):
                if not copy.ended and dice.random() < 0.3:
                    copy.cost, copy.ended = dice.uniform(0.0, 9.0), dice.random() < 0.7
                    (chain.end if copy.ended else chain.correct)(service, copy.cost)
            assert chain.finish == pytest.approx(finish_tag(copies))
            assert chain.settled == pytest.approx(finish_tag(copy for copy in copies if copy.ended))
            assert chain.under_way == sum(not copy.ended for copy in copies)


def test_a_chain_remembers_what_is_under_way_and_little_else() -> None:
    """While one goes on for long, thousands of others begin and end."""
    chain = ServiceChain()
    chain.append(Service(0.0, 1.0, 1.0))
    for number in range(5000):
        service = Service(float(number), 1.0, 1.0)
        chain.append(service)
        chain.end(service, 2.0)
        assert len(chain) <= 8
    assert chain.finish == pytest.approx(10_001.0)


def test_only_debts_are_remembered() -> None:
    """A thousand owners who come once, and wait for each other, leave no account; nor do those who ran nothing."""
    scheduler, clock = make(1, *(job(f"owner-{number}") for number in range(1000)))
    for number in range(100):
        one = job(f"cancelled-{number}")
        scheduler.add(one)
        assert scheduler.remove(one)
    assert len(scheduler.shares) == 1000
    run_all(scheduler, clock)
    scheduler.add(job("late", 5.0))
    scheduler.add(job("late"))
    run_all(scheduler, clock)
    assert len(scheduler.shares) <= 1001, "each started at 0, so each is a second ahead"
    scheduler.add(job("late"))
    run_all(scheduler, clock)
    assert len(scheduler.shares) == 1


def test_the_smallest_debt_is_forgotten_of_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_shares, "MAX_IDLE", 5)
    scheduler, clock = make(1)
    for number in range(6):
        scheduler.add(job(f"owner-{number}", 20.0 - number))
        run_all(scheduler, clock)
    assert len(scheduler.shares) == 5
    assert scheduler.shares.virtual_time == 15.0
    for number in range(7):
        scheduler.add(job(f"owner-{number}"))
    tags = [scheduler.shares.place(f"owner-{number}")[1] for number in range(7)]
    assert tags == [20.0, 19.0, 18.0, 17.0, 16.0, 15.0, 15.0]


def test_debts_are_restored() -> None:
    shares = FairShares()
    shares.restore(10.0, {"ann": 15.0, "bob": 10.0, "eve": 7.0})
    assert len(shares) == 1, "what the virtual time has passed is no debt"
    for owner in ("ann", "bob", "new"):
        shares.begin_waiting(owner)
    assert [shares.place(owner)[1] for owner in ("ann", "bob", "new")] == [15.0, 10.0, 10.0]


def test_an_operation_costs_the_same_however_many_wait() -> None:
    """Whether 10,000 of 1,000 owners wait or 100 of 20: it takes the same lines."""

    def count(owners: int, each: int) -> list[int]:
        scheduler, clock = make(4, *(job(f"owner-{number % owners}") for number in range(owners * each)))
        running = [take(scheduler) for _ in range(4)]
        new = job("new")
        counts = []
        for act in (
            lambda: scheduler.add(new),
            lambda: scheduler.release(running[0], MODEL, 3.0),
            lambda: take(scheduler),
            lambda: scheduler.place(new),
            lambda: list(itertools.islice(scheduler.order(), 5)),
            lambda: scheduler.remove(job("new")),
        ):
            clock.now += 0.1
            with Steps() as steps:
                act()
            counts.append(steps.count)
        return counts

    for many, few in zip(count(1000, 10), count(20, 5), strict=True):
        assert many < 1.5 * few + 10
