"""An explanation of one entry in sentences: its story run by run, where it is now, or why not and what to do."""

from collections.abc import Iterator
from typing import Any

from migration.actions import ActionKind, OutcomeWord, Side
from migration.entries import Entry, PathParts
from migration.explanation import Attempt, Decision, Explanation, Finding
from migration.stored_text import readable
from reports import words
from reports.reasons import advice

_SIDES = {Side.SOURCE: "at the source", Side.DESTINATION: "at the destination"}
_KINDS = {
    ActionKind.MAKE_FOLDER: "make the folder",
    ActionKind.COPY: "copy",
    ActionKind.ADD_VERSION: "copy as a version",
    ActionKind.RENAME: "rename",
    ActionKind.DELETE: "delete",
    ActionKind.SKIP: "leave it as it is",
    ActionKind.FLAG: "nothing, it needs a person",
}
_LEVELS = {
    "stored_hash": "the stored bytes were hashed",
    "sent_hash": "the bytes sent were hashed, and the system confirmed their size",
    "size": "its size is right",
}
_VERDICTS = {
    "matches": "verified",
    "differs": "verification found a difference",
    "missing": "verification did not find it",
    "rewritten": "the destination rewrote it, as it does with such files",
    "not_checked": "it could not be verified",
}


def told(explanation: Explanation) -> Iterator[str]:
    """The explanation, line by line; lines that begin with a space belong to the one before."""
    if not explanation.found:
        yield f"Nothing is known of {readable(explanation.asked)} in this job."
        for path in explanation.near:
            yield f"  Did you mean: {shown(path)}"
        return
    for side, run_id, entry in explanation.listed:
        yield f"Listed {_SIDES[side]} (run {run_id}): {_facts(entry)}"
    for decision in explanation.decisions:
        yield f"Run {decision.run_id}, {words.moment(decision.planned_at)}: {decided(decision)}"
        for attempt in decision.attempts:
            yield f"  {tried(attempt, decision)}"
        if decision.finding is not None:
            yield f"  {found(decision.finding)}"
        for attempt in decision.undone:
            yield f"  undoing it, {tried(attempt, decision)}"
    _, sentence, help_ = conclusion(explanation)
    yield f"Now: {sentence}"
    if help_:
        yield f"  What to do: {help_}"


def decided(decision: Decision) -> str:
    """What the plan decided, and why."""
    kind = ActionKind(decision.kind)
    what = _KINDS[kind]
    if decision.version_number is not None:
        what += f" version {decision.version_number}"
    if kind is ActionKind.RENAME:
        what += f" {shown(decision.from_path)} to {shown(_changed(decision))} {_SIDES[decision.side]}"
    elif kind not in (ActionKind.SKIP, ActionKind.FLAG):
        what += f" {shown(_changed(decision))} {_SIDES[decision.side]}"
    why = ": ".join(part for part in (words.reason(decision.reason), words.detail(decision.detail)) if part)
    return f"{what} ({why})" if why else what


def tried(attempt: Attempt, decision: Decision) -> str:
    """What came of one try; what the decision says already is not said again."""
    reason = "" if attempt.reason == decision.reason else words.reason(attempt.reason)
    why = ": ".join(part for part in (reason, _readable(attempt.message)) if part)
    is_renamed = attempt.name_there is not None and attempt.name_there != _changed(decision)[-1]
    extra = f", named {_readable(attempt.name_there)} there" if is_renamed else ""
    extra += ", what was there is in the trash" if attempt.trashed else ""
    when = words.moment(attempt.finished_at)
    return f"try {attempt.attempt}, {when}: {attempt.word}{extra}" + (f" ({why})" if why else "")


def found(finding: Finding) -> str:
    """What verification said."""
    text = _VERDICTS.get(finding.verdict, finding.verdict)
    level = _LEVELS.get(finding.level or "")
    detail = _readable(finding.detail)
    return "; ".join(part for part in (text, level, detail) if part)


def conclusion(explanation: Explanation) -> tuple[str, str, str]:
    """Where the entry is now or why not: one word for scripts, a sentence, and what a person can do (or nothing).

    The words: arrived, not_reached, failing, flagged, left_out, deleted, renamed, undone, only_listed.
    """
    decision = _decisive(explanation)
    if decision is None:
        if explanation.now is not None:
            return "arrived", _whereabouts(explanation), ""
        return "only_listed", "it was listed, and no plan has said anything about it yet", ""
    last = decision.attempts[-1] if decision.attempts else None
    kind = ActionKind(decision.kind)
    if kind is ActionKind.FLAG:
        return "flagged", f"not copied; {_why(decision, None)}", advice(decision.reason)
    if kind is ActionKind.SKIP:
        return _skipped(explanation, decision)
    if last is None:
        return "not_reached", "decided, but not reached yet; the run that continues the plan does it", ""
    if last.word == OutcomeWord.RETRYING:
        return "failing", f"not done yet; {_why(decision, last)}; the next run tries again", advice(last.reason)
    if last.word in (OutcomeWord.FLAGGED, OutcomeWord.SKIPPED):
        return "flagged", f"not done; {_why(decision, last)}", advice(last.reason)
    return _done(decision, last)


def _decisive(explanation: Explanation) -> Decision | None:
    """The newest decision on the entry itself: renames only if there is nothing else, earlier versions never."""
    current = [one for one in explanation.decisions if one.version_number is None]
    if not current:
        return None
    newest = [one for one in current if one.run_id == current[-1].run_id]
    return next((one for one in reversed(newest) if one.kind != ActionKind.RENAME), newest[-1])


def _skipped(explanation: Explanation, decision: Decision) -> tuple[str, str, str]:
    if explanation.now is not None:
        return "arrived", f"{_whereabouts(explanation)}; {words.reason(decision.reason)}", ""
    return "left_out", f"not copied; {_why(decision, None)}", advice(decision.reason)


def _done(decision: Decision, last: Attempt) -> tuple[str, str, str]:
    where = _SIDES[decision.side]
    if decision.undone and OutcomeWord(decision.undone[-1].word) in (OutcomeWord.SUCCEEDED, OutcomeWord.REVISED):
        when = words.moment(decision.undone[-1].finished_at)
        return "undone", f"what run {decision.run_id} did {where} was undone, {when}", ""
    if decision.kind == ActionKind.DELETE:
        undo = f"sitehaul undo --run {decision.run_id} brings back what that run removed." if last.trashed else ""
        trash = ", it is in the trash" if last.trashed else ""
        return "deleted", f"deleted {where} by run {decision.run_id}{trash}", undo
    if decision.kind == ActionKind.RENAME:
        return "renamed", f"{where} as {shown(_changed(decision))}", ""
    path = _changed(decision)
    if last.name_there:
        path = (*path[:-1], last.name_there)
    sha256 = last.settled_sha256 or last.sha256
    parts = [f"{where} as {shown(path)}"]
    parts += [f"SHA-256 {sha256}"] if sha256 else []
    if decision.finding is not None:
        parts.append(found(decision.finding))
    elif not decision.is_folder:
        parts.append("not verified yet")
    wrong = decision.finding is not None and decision.finding.verdict in ("differs", "missing")
    return (
        "arrived",
        "; ".join(parts),
        "Run the job again: what is missing or differs is decided anew." if wrong else "",
    )


def _whereabouts(explanation: Explanation) -> str:
    now = explanation.now
    if now is None:
        return ""
    sha256 = now.settled_sha256 or now.sha256
    parts = [f"at the destination as {shown(now.path)}, from run {now.run_id}"]
    parts += [f"SHA-256 {sha256}"] if sha256 else []
    parts += ["missing at the destination when it was last listed"] if now.missing_at_destination else []
    parts += ["missing at the source when it was last listed"] if now.missing_at_source else []
    return "; ".join(parts)


def _why(decision: Decision, last: Attempt | None) -> str:
    reason, detail = (decision.reason, decision.detail) if last is None else (last.reason, last.message)
    return ": ".join(part for part in (words.reason(reason), words.detail(detail)) if part) or "no reason was recorded"


def _changed(decision: Decision) -> PathParts:
    return decision.source_path if decision.side is Side.SOURCE else decision.destination_path


def _facts(entry: Entry) -> str:
    parts = [shown(entry.path) + ("" if entry.is_file else "/")]
    if entry.is_file:
        parts.append(words.size(entry.size_bytes))
        parts.append(f"changed {words.moment(entry.modified_at)}")
    parts += [f"by {readable(entry.created_by)}"] if entry.created_by else []
    parts += [f"version {entry.version_number}"] if entry.version_number else []
    flags = (("checked out", entry.locked), ("private", entry.private), ("in the recycle bin", entry.deleted))
    parts += [word for word, is_so in flags if is_so]
    return ", ".join([*parts, f"id {readable(entry.ref.id)}"])


def shown(path: PathParts) -> str:
    """A path as reports show it: a `/` inside a name appears as `∕`."""
    return readable("/".join(name.replace("/", "∕") for name in path))


def _readable(text: str | None) -> str:
    return "" if text is None else readable(text)


def to_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation for scripts."""
    state, sentence, help_ = conclusion(explanation) if explanation.found else ("unknown", "nothing is known of it", "")
    return {
        "asked": readable(explanation.asked),
        "state": state,
        "now": sentence,
        "what_to_do": help_ or None,
        "listed": [
            {
                "side": side.value,
                "run_id": run_id,
                "path": shown(entry.path),
                "kind": entry.kind.value,
                "id": readable(entry.ref.id),
                "version_id": _readable(entry.ref.version_id) or None,
                "size_bytes": entry.size_bytes,
                "modified_at": entry.modified_at.isoformat() if entry.modified_at else None,
                "created_by": _readable(entry.created_by) or None,
            }
            for side, run_id, entry in explanation.listed
        ],
        "decisions": [_decision(one) for one in explanation.decisions],
        "near": [shown(path) for path in explanation.near],
    }


def _decision(one: Decision) -> dict[str, Any]:
    return {
        "run_id": one.run_id,
        "planned_at": one.planned_at.isoformat(),
        "kind": one.kind,
        "side": one.side.value,
        "reason": one.reason,
        "words": decided(one),
        "source_path": shown(one.source_path),
        "destination_path": shown(one.destination_path),
        "from_path": shown(one.from_path) or None,
        "version_number": one.version_number,
        "attempts": [
            {
                "attempt": attempt.attempt,
                "word": attempt.word,
                "reason": attempt.reason,
                "message": attempt.message,
                "finished_at": attempt.finished_at.isoformat(),
                "sha256": attempt.sha256,
            }
            for attempt in one.attempts
        ],
        "undone": [attempt.word for attempt in one.undone],
        "verification": None
        if one.finding is None
        else {
            "verdict": one.finding.verdict,
            "level": one.finding.level,
            "detail": _readable(one.finding.detail) or None,
            "sha256": one.finding.sha256,
        },
    }
