"""Map an exported function over a dataset on a cluster of Dask workers.

    python docs/examples/cluster.py            # two worker processes on this machine
    python docs/examples/cluster.py tcp://scheduler:8786

The module is compiled here, once, and travels to each worker once, as machine code: a `Module`
pickles, and a worker on a machine like this one loads it without compiling. (Elsewhere it is
compiled again.) Each worker keeps one instance of it.

Needs `pip install distributed`. Unpickling executes what was pickled, so connect to clusters whose
members you trust.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from distributed import Client, LocalCluster

import jitwasm

# (func (export "steps") (param i64) (result i64)): the length of the Collatz sequence of a number.
STEPS = bytes.fromhex(
    "0061736d0100000001060160017e017e0302010007090105737465707300000a39013701017e0240034020004201"
    "580d0120004201835004402000420188210005200042037e42017c21000b200142017c21010c000b0b20010b"
)


@functools.lru_cache(maxsize=1)
def instance_of(module: jitwasm.Module) -> jitwasm.Instance:
    """The worker's instance: Dask gives every task the same module object."""
    return jitwasm.Instance(module)


def longest(module: jitwasm.Module, numbers: range) -> tuple[int, int]:
    """One task: the most steps among some numbers, and which number takes them."""
    steps = instance_of(module).exports.steps
    return max((steps(number), number) for number in numbers)


def main(client: Client, stop: int = 40_000, portion: int = 5_000) -> tuple[int, int]:
    # LLVM at its best, and at once: what is compiled lazily would travel uncompiled.
    module = jitwasm.Module(STEPS, jitwasm.Config(tier="optimized"))
    everywhere = client.scatter(module, broadcast=True)
    portions = [range(start, start + portion) for start in range(1, stop, portion)]
    tasks = client.map(longest, [everywhere] * len(portions), portions)
    return max(client.gather(tasks))


def with_cluster(work: Callable[[Client], object], address: str | None = None) -> object:
    if address is not None:
        with Client(address) as client:
            return work(client)
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster) as client:
        return work(client)


if __name__ == "__main__":
    steps, number = with_cluster(main, *sys.argv[1:2])  # type: ignore[misc]
    print(f"{number} takes {steps} steps, the most below 40001")
