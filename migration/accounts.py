"""The account of a job with children: the sum of theirs. Pure."""

from collections.abc import Iterable, Mapping

from migration.reconciliation import WORDS, Reconciliation, Tally

Counts = Mapping[str, int]


def summed(
    run_id: str, accounts: Mapping[str, Reconciliation], not_visible: Iterable[tuple[str, str, str]]
) -> Reconciliation:
    """One account over all children, by their names; its `folders` are the children.

    `not_visible` are those of which there is no account because they cannot be seen: (name, code, message).
    """
    unexplained = [f"{name}: {sentence}" for name, one in accounts.items() for sentence in one.unexplained]
    hidden = [
        (f"{name} / {path}" if path else name, code, why)
        for name, one in accounts.items()
        for path, code, why in one.not_visible
    ]
    total = _tally([one.total for one in accounts.values()])
    if not total.adds_up and not unexplained:
        unexplained.append(
            f"The sources have {total.source_files} files, {sum(total.files.values())} are accounted for."
        )
    verified = [one.verification for one in accounts.values() if one.verification is not None]
    return Reconciliation(
        run_id=run_id,
        total=total,
        folders={name: one.total for name, one in sorted(accounts.items())},
        reasons=_by_word([one.reasons for one in accounts.values()]),
        made_folders=dict.fromkeys(WORDS, 0) | _sum(one.made_folders for one in accounts.values()),
        source_complete=all(one.source_complete for one in accounts.values()),
        not_visible=(*tuple(not_visible), *hidden),
        unexplained=tuple(unexplained),
        verification=_sum(verified) if verified else None,
        changes=_changes([one.changes for one in accounts.values()]),
    )


def _tally(tallies: Iterable[Tally]) -> Tally:
    every = list(tallies)
    nothing = dict.fromkeys(WORDS, 0)
    return Tally(
        source_files=sum(one.source_files for one in every),
        source_bytes=sum(one.source_bytes for one in every),
        files=nothing | _sum(one.files for one in every),
        bytes=nothing | _sum(one.bytes for one in every),
    )


def _changes(every: Iterable[Mapping[str, Mapping[str, Counts]]]) -> dict[str, dict[str, dict[str, int]]]:
    by_side: dict[str, list[Mapping[str, Counts]]] = {}
    for one in every:
        for side, kinds in one.items():
            by_side.setdefault(side, []).append(kinds)
    return {side: _by_word(kinds) for side, kinds in by_side.items()}


def _by_word(every: Iterable[Mapping[str, Counts]]) -> dict[str, dict[str, int]]:
    by_word: dict[str, list[Counts]] = {}
    for one in every:
        for word, counts in one.items():
            by_word.setdefault(word, []).append(counts)
    return {word: _sum(counts) for word, counts in by_word.items()}


def _sum(every: Iterable[Counts]) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in every:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total
