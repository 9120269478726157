"""Renames in an order that always works: tiny trees in, moves out; and carried out on a model they give the wish."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.tree_moves import FileWish, Move, Position, Tree, Wish, file_moves


def tree(text: str) -> dict[str, Position]:
    """`a:A b:a/B` = folder a named A at the root, folder b named B in a."""
    positions = {}
    for word in text.split():
        folder_id, place = word.split(":")
        parent, _, name = place.rpartition("/")
        positions[folder_id] = Position(parent or None, name)
    return positions


def told(moves: list[Move]) -> list[str]:
    return [f"{'/'.join(move.from_path)} > {'/'.join(move.to_path)}{' !' if move.parked else ''}" for move in moves]


@pytest.mark.parametrize(
    ("now", "wished", "expected", "blocked"),
    [
        ("a:A", "a:B", ["A > B"], []),
        ("a:A", "a:A", [], []),
        ("a:A b:B", "b:a/B", ["B > A/B"], []),
        ("a:A b:a/B", "b:B", ["A/B > B"], []),
        # parents go first, so the child's path is the new one
        ("a:A b:a/B", "a:X b:a/Y", ["A > X", "X/B > X/Y"], []),
        # what was inside comes out, and the outer goes into it
        ("a:A b:a/B", "b:B a:b/A", ["A/B > B", "A > B/A"], []),
        # a swap needs a third name
        ("a:A b:B", "a:B b:A", ["B > B (moving 3e23e816) !", "A > B", "B (moving 3e23e816) > A"], []),
        # something that stays is in the way
        ("a:A b:B", "a:B", [], ["a"]),
        # only the spelling changes, which is one name here
        ("a:A", "a:a", ["A > a"], []),
        # into itself
        ("a:A b:a/B", "a:b/A", [], ["a"]),
    ],
)
def test_folders(now: str, wished: str, expected: list[str], blocked: list[str]) -> None:
    wishes = [Wish(folder_id, position) for folder_id, position in tree(wished).items()]
    moves, in_the_way = Tree(tree(now), str.lower).moves(wishes)
    assert (told(moves), in_the_way) == (expected, blocked)


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ([("1", "A/x", "B/x")], ["A/x > B/x"]),
        ([("1", "a", "b"), ("2", "b", "a")], ["b > b (moving d4735e3a) !", "a > b", "b (moving d4735e3a) > a"]),
        ([("1", "a", "b"), ("2", "b", "c")], ["b > b (moving d4735e3a) !", "a > b", "b (moving d4735e3a) > c"]),
        ([("2", "b", "c"), ("1", "a", "b")], ["b > c", "a > b"]),
        ([("1", "a", "A")], ["a > A"]),
    ],
)
def test_files(wishes: list[tuple[str, str, str]], expected: list[str]) -> None:
    wanted = [FileWish(one, tuple(old.split("/")), tuple(new.split("/"))) for one, old, new in wishes]
    assert told(file_moves(wanted, str.lower)) == expected


@settings(max_examples=300, deadline=None)
@given(st.permutations(range(6)), st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_carried_out_one_after_the_other_every_file_is_where_it_was_wished(order: list[int], places: list[int]) -> None:
    free = [f"n{place}" for place in dict.fromkeys(places)]
    wanted = [FileWish(str(one), (f"n{one}",), (name,)) for one, name in zip(order, free, strict=False)]
    disk = {f"n{wish.id}": wish.id for wish in wanted}
    for move in file_moves(wanted, str.lower):
        file_id = disk.pop(move.from_path[0])
        assert file_id == move.id
        assert move.to_path[0] not in disk
        disk[move.to_path[0]] = file_id
    assert disk == {wish.to_path[0]: wish.id for wish in wanted}
