"""What engines within this process have in common: they are called from Python."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from jitwasm.benchmark.clock import timed
from jitwasm.benchmark.job import Job, Outcome, texts

__all__ = ["InProcess"]


class InProcess(ABC):
    """A job that Python functions carry out.

    Attributes:
        job: what to do.
        function: the export, for a job that calls one.
        repeat: calls it so many times, without Python between.
    """

    job: Job
    function: Callable[..., Any]
    repeat: Callable[[int], object]

    @abstractmethod
    def run_main(self, output: str) -> tuple[int, float]:
        """Run the program on a new instance, its output into a file; exit code and seconds."""

    def outcome(self) -> Outcome:
        invocation = self.job.invocation
        if invocation is not None:
            result = self.function(*invocation.arguments)
            return Outcome(0, texts(result, invocation.type.results))
        with tempfile.NamedTemporaryFile() as file:
            code = self.run_main(file.name)[0]
            return Outcome(code, file.read())

    def call(self, count: int) -> float:
        assert self.job.invocation is not None
        function, arguments = self.function, self.job.invocation.arguments

        def calls() -> None:
            for _ in range(count):
                function(*arguments)

        return timed(calls) / count

    def execute(self, count: int) -> float:
        if self.job.runs_main:
            return self.run_main(os.devnull)[1]
        return timed(lambda: self.repeat(count)) / count
