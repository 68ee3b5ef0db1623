"""Records behave as frozen data classes do."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
from typing import Any

import pytest

from jitwasm.records import member, record, replace


@record(frozen=True)
class Plain:
    first: int
    second: str = "two"


@record(frozen=True, slots=True)
class Slotted:
    first: int
    second: str = "two"

    def total(self) -> int:
        return self.first + len(self.second)


@record(frozen=True, eq=False)
class Unequal:
    first: int


@dataclasses.dataclass(frozen=True)
class Reference:
    first: int
    second: str = "two"


@pytest.fixture(params=[Plain, Slotted])
def cls(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_it_is_made_and_shown_as_a_data_class(cls: Any) -> None:
    assert inspect.signature(cls) == inspect.signature(Reference)
    assert repr(cls(1)) == repr(Reference(1)).replace("Reference", cls.__name__)
    assert cls(first=1) == cls(1, "two")
    for wrong in ((), (1, "two", 3)):
        with pytest.raises(TypeError, match="__init__"):
            cls(*wrong)


def test_equal_records_are_one_key(cls: Any) -> None:
    assert {cls(1): "found"}[cls(1)] == "found"
    assert cls(1) != cls(2)
    assert cls(1) != Reference(1)


def test_it_does_not_change(cls: Any) -> None:
    made = cls(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="first"):
        made.first = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="first"):
        del made.first
    assert made.first == 1


def test_it_pickles_and_matches(cls: Any) -> None:
    again = pickle.loads(pickle.dumps(cls(3, "x")))
    assert again == cls(3, "x")
    match again:
        case cls(first, second):
            assert (first, second) == (3, "x")


def test_slots_leave_no_dictionary() -> None:
    assert not hasattr(Slotted(1), "__dict__")
    assert Slotted(1).total() == 4


def test_without_equality_every_object_is_its_own() -> None:
    made = Unequal(1)
    assert made == made and made != Unequal(1)
    assert {made: 1}[made] == 1


def test_it_is_a_data_class_to_those_who_ask(cls: Any) -> None:
    assert dataclasses.is_dataclass(cls) and dataclasses.is_dataclass(cls(1))
    given = [(row.name, row.type, row.default) for row in dataclasses.fields(cls)]
    assert given == [(row.name, row.type, row.default) for row in dataclasses.fields(Reference)]
    changed = dataclasses.replace(cls(1), second="other")
    assert type(changed) is cls and changed == cls(1, "other")
    assert dataclasses.asdict(cls(1)) == {"first": 1, "second": "two"}
    assert cls(1).__replace__(first=5) == cls(5)
    with pytest.raises(TypeError, match="third"):
        dataclasses.replace(cls(1), third=3)


def test_a_data_class_may_inherit_from_it() -> None:
    @dataclasses.dataclass(frozen=True)
    class Longer(Plain):  # type: ignore[misc]
        third: int = 3

    assert [row.name for row in dataclasses.fields(Longer)] == ["first", "second", "third"]
    with pytest.raises(TypeError, match="frozen"):
        dataclasses.dataclass(type("Mutable", (Plain,), {}))


@record()
class Changing:
    first: int
    rows: list[int] = member(default_factory=list)
    hidden: str = member(default="", repr=False, compare=False)
    later: int | None = member(default=None, init=False)


@dataclasses.dataclass
class ChangingReference:
    first: int
    rows: list[int] = dataclasses.field(default_factory=list)
    hidden: str = dataclasses.field(default="", repr=False, compare=False)
    later: int | None = dataclasses.field(default=None, init=False)


def test_members_are_made_shown_and_compared_as_fields_are() -> None:
    shown = str(inspect.signature(ChangingReference))
    assert str(inspect.signature(Changing)) == shown
    one, other = Changing(1), Changing(1, hidden="seen")
    assert repr(one) == repr(ChangingReference(1)).replace("ChangingReference", "Changing")
    assert one == other and one.rows is not other.rows
    other.later = 2
    assert one != other
    assert Changing.__hash__ is None
    assert Changing.__match_args__ == ChangingReference.__match_args__
    assert not hasattr(Changing, "rows") and Changing.hidden == ""


def test_members_are_fields_to_who_asks() -> None:
    names = [field.name for field in dataclasses.fields(ChangingReference)]
    assert [field.name for field in dataclasses.fields(Changing)] == names
    changed = replace(Changing(1, [2], "h"), first=3)
    assert (changed.first, changed.rows, changed.hidden, changed.later) == (3, [2], "h", None)
    assert dataclasses.asdict(changed)["rows"] == [2]
    with pytest.raises(ValueError, match="later"):
        replace(changed, later=1)
