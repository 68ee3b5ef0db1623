"""Which functions are optimised next, and which together."""

from __future__ import annotations

from jitwasm.optimization import HOT_SAMPLES, LARGEST, SMALL, OptimizationPlan


def plan_of(
    sizes: dict[int, int], hot: tuple[int, ...] = (), early: bool = False
) -> OptimizationPlan:
    return OptimizationPlan(sizes, hot, early)


def sampled(plan: OptimizationPlan, *funcidxs: int) -> OptimizationPlan:
    for funcidx in funcidxs:
        plan.add_sample(funcidx)
    return plan


def test_the_hottest_comes_first() -> None:
    plan = sampled(plan_of(dict.fromkeys(range(5), 100)), *[3] * 4, *[1] * 9, 2)
    assert plan.next_seed((), rest=False) == 1
    assert plan.take(1) == 100
    assert plan.next_seed((), rest=False) == 3
    plan.take(3)
    assert plan.is_settled
    assert plan.next_seed((), rest=False) is None


def test_one_sample_may_be_chance() -> None:
    assert sampled(plan_of({0: 10}), 0).next_seed((), rest=False) is None
    assert sampled(plan_of({0: 10}), *[0] * HOT_SAMPLES).next_seed((), rest=False) == 0


def test_the_rest_goes_by_need() -> None:
    plan = sampled(plan_of(dict.fromkeys(range(5), 100)), 4)
    order = []
    while (seed := plan.next_seed((2, 3), rest=True)) is not None:
        order.append(seed)
        plan.take(seed)
    assert order == [4, 2, 3, 0, 1]


def test_early_takes_all_in_order() -> None:
    plan = plan_of({7: 1, 8: 1}, early=True)
    assert plan.next_seed((), rest=False) == 7


def test_what_was_hot_in_an_earlier_run_is_hot_at_once() -> None:
    plan = plan_of(dict.fromkeys(range(9), 100), hot=(5, 2))
    assert plan.next_seed((), rest=False) == 5
    plan.take(5)
    assert plan.next_seed((), rest=False) == 2


def test_what_is_too_large_is_left() -> None:
    plan = sampled(plan_of({0: LARGEST + 1, 1: 5}), 0, 0, 0)
    assert plan.hottest() is None
    assert list(plan.pending) == [1]


def test_callees_that_are_hot_or_small_come_along() -> None:
    sizes = {0: 500, 1: SMALL, 2: SMALL + 1, 3: 900, 4: 900}
    plan = sampled(plan_of(sizes), 3, 4, 4)
    assert plan.companions((1, 2, 3, 4, 77), room=1900) == [4, 3]
    assert plan.companions((1, 2, 3, 4), room=2000) == [4, 3, 1]
    plan.take(4)
    assert plan.companions((1, 2, 3, 4), room=2000) == [3, 1]


def test_what_was_given_back_is_taken_again() -> None:
    plan = plan_of({0: 10, 1: 10}, early=True)
    plan.take(0)
    plan.take(1)
    assert plan.next_seed((), rest=True) is None
    plan.give_back((1,))
    assert plan.next_seed((), rest=True) == 1
