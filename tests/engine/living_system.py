"""A system that people work in: folders and files by id, with moves, a trash, and listings that can fail.

It is a full Destination with Movable, Trash and ContentHash. `stable_ids` False makes ids of paths, as file systems do.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from migration.capabilities import Capabilities, Operation
from migration.contract import ConnectionReport, Precondition, Stored, WalkPage
from migration.entries import Entry, EntryKind, ListingProblem, PathParts, Ref
from migration.errors import ConfigurationError, FatalError, ItemError, PreconditionFailed, RetryableError


@dataclass(eq=False)
class Node:
    """A folder (content None) or a file."""

    id: str
    parent: "Node | None"
    name: str
    content: bytes | None = None
    modified_at: datetime | None = None
    version: int = 1

    @property
    def path(self) -> PathParts:
        return () if self.parent is None else (*self.parent.path, self.name)


@dataclass
class LivingSystem:
    system: str
    stable_ids: bool = True
    nodes: dict[str, Node] = field(default_factory=dict)
    trash: dict[str, tuple[Node, list[Node]]] = field(default_factory=dict)
    """What was deleted, by token: the topmost node and everything that was below it."""
    hidden: set[str] = field(default_factory=set)
    """Ids of folders that cannot be listed."""
    outage: str | None = None
    """empty, missing or another: how the whole of it is not what it should be."""
    dead: bool = False
    """Whether nothing answers any more, as after a crash of the process that asked."""
    _count: int = 0

    def __post_init__(self) -> None:
        self.root = self._add(None, "")

    @property
    def display_name(self) -> str:
        return self.system

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            atomic_publish=True,
            stable_ids=self.stable_ids,
            keeps_times=True,
            time_precision_seconds=1e-6,
            operations=frozenset({Operation.MOVE, Operation.DELETE_TO_TRASH, Operation.CONTENT_HASH}),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    def children(self, folder: Node) -> list[Node]:
        return sorted((node for node in self.nodes.values() if node.parent is folder), key=lambda node: node.name)

    def below(self, folder: Node) -> list[Node]:
        found = []
        for node in self.children(folder):
            found += [node, *self.below(node)]
        return found

    def at(self, path: PathParts) -> Node | None:
        node: Node | None = self.root
        for name in path:
            node = next((one for one in self.children(node) if one.name == name), None) if node else None
        return node

    def files(self) -> dict[PathParts, bytes]:
        return {node.path: node.content for node in self.below(self.root) if node.content is not None}

    def folders(self) -> set[PathParts]:
        return {node.path for node in self.below(self.root) if node.content is None}

    def contents(self) -> set[bytes]:
        """Everything that is here or in the trash."""
        kept = [*self.nodes.values(), *(node for top, rest in self.trash.values() for node in (top, *rest))]
        return {node.content for node in kept if node.content is not None}

    def make(self, path: PathParts, content: bytes | None, modified_at: datetime | None) -> Node:
        """As a person does."""
        parent = self.at(path[:-1])
        assert parent is not None and self.at(path) is None
        return self._add(parent, path[-1], content, modified_at)

    def write(self, node: Node, content: bytes, modified_at: datetime) -> None:
        node.content, node.modified_at, node.version = content, modified_at, node.version + 1

    def remove(self, node: Node) -> None:
        """For good, as a person may."""
        for one in (node, *self.below(node)):
            del self.nodes[one.id]

    async def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        self._alive()
        if self.outage == "missing":
            raise ConfigurationError("root-missing", f"There is no {root}.")
        entries: list[Entry] = []
        problems: list[ListingProblem] = []
        start = self.at(root)
        if start is None or start.content is not None:
            raise ConfigurationError("root-missing", f"There is no folder {root}.")
        if self.outage is None:
            self._list(start, entries, problems)
            entries = [replace(entry, path=entry.path[len(root) :]) for entry in entries]
        if self.outage == "another":
            other = Ref(self.system, "another root")
            entries.append(Entry(ref=Ref(self.system, "x"), parent=other, name="x", path=("x",), kind=EntryKind.FOLDER))
        yield WalkPage(tuple(entries), tuple(problems), None)

    def _list(self, folder: Node, entries: list[Entry], problems: list[ListingProblem]) -> None:
        if folder.id in self.hidden:
            problems.append(ListingProblem(folder.path, "permission-denied", "It may not be seen."))
            return
        for node in self.children(folder):
            entries.append(self.entry(node))
            if node.content is None:
                self._list(node, entries, problems)

    def entry(self, node: Node) -> Entry:
        is_file = node.content is not None
        return Entry(
            ref=self.ref(node),
            parent=self.ref(node.parent) if node.parent else None,
            name=node.name,
            path=node.path,
            kind=EntryKind.FILE if is_file else EntryKind.FOLDER,
            size_bytes=len(node.content) if node.content is not None else None,
            modified_at=node.modified_at if is_file else None,
        )

    def ref(self, node: Node) -> Ref:
        identity = node.id if self.stable_ids else hashlib.sha256(json.dumps(node.path).encode()).hexdigest()[:16]
        if node.content is None:
            return Ref(self.system, identity)
        version = str(node.version) if self.stable_ids else f"{node.modified_at}.{len(node.content)}"
        return Ref(self.system, identity, version)

    @asynccontextmanager
    async def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self._alive()
        node = self._of(entry)
        content = node.content if node is not None else None
        if node is None or content is None or self.ref(node) != entry.ref:
            raise ItemError("source-changed", f"{entry.path} is not what it was.")

        async def chunks() -> AsyncIterator[bytes]:
            part = content[offset : None if length is None else offset + length]
            if part:
                yield part

        yield chunks()

    def _of(self, entry: Entry) -> Node | None:
        return next((node for node in self.nodes.values() if self.ref(node).id == entry.ref.id), None)

    async def test(self) -> ConnectionReport:
        return ConnectionReport(usable=True, who=None, findings=())

    async def stat(self, path: PathParts) -> Entry | None:
        self._alive()
        node = self.at(path)
        return self.entry(node) if node else None

    async def sha256(self, path: PathParts) -> str:
        self._alive()
        node = self.at(path)
        if node is None or node.content is None:
            raise ItemError("not-found", f"There is no file {path}.")
        return hashlib.sha256(node.content).hexdigest()

    async def make_folder(self, path: PathParts) -> Ref:
        self._alive()
        node = self.root
        for name in path:
            found = next((one for one in self.children(node) if one.name == name), None)
            if found is not None and found.content is not None:
                raise ItemError("not-a-folder", f"{found.path} is a file.")
            node = found or self._add(node, name)
        return self.ref(node)

    async def put(
        self,
        path: PathParts,
        chunks: AsyncIterator[bytes],
        *,
        size_bytes: int | None,
        modified_at: datetime | None,
        precondition: Precondition,
        staging_key: str,
        before_publish: Callable[[], Awaitable[None]],
    ) -> Stored:
        self._alive()
        content = b"".join([chunk async for chunk in chunks])
        if size_bytes is not None and len(content) != size_bytes:
            raise RetryableError("short-body", "Another size than announced.")
        await before_publish()
        self._alive()
        parent, node, expected = self.at(path[:-1]), self.at(path), precondition.expected
        if parent is None or parent.content is not None:
            raise ItemError("parent-missing", f"There is no {path[:-1]}.")
        if (node and self.ref(node)) != (expected and expected.ref):
            raise PreconditionFailed("destination-changed", f"{path} is not as planned.")
        trashed = None
        if node is None:
            node = self._add(parent, path[-1], content, modified_at)
        else:
            if precondition.keep_replaced:
                old = Node(f"replaced {self._number()}", node.parent, node.name, node.content, node.modified_at)
                trashed = self._bin(old, [], precondition.trash_key)
            node.content, node.modified_at, node.version = content, modified_at, node.version + 1
        return Stored(self.ref(node), node.name, len(content), modified_at, trashed=trashed)

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        self._alive()
        node, parent, there = self._of(entry), self.at(to[:-1]), self.at(to)
        if node is None or self.ref(node) != entry.ref:
            raise ItemError("source-changed", f"{entry.path} is not what it was.")
        if parent is None or parent.content is not None:
            raise ItemError("parent-missing", f"There is no {to[:-1]}.")
        if there is not None:
            raise PreconditionFailed("destination-changed", f"Something is at {to}.")
        node.parent, node.name = parent, to[-1]
        return self.ref(node)

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:
        self._alive()
        node = self._of(entry)
        if node is None or self.ref(node) != entry.ref:
            raise ItemError("source-changed", f"{entry.path} is not what it was.")
        rest = self.below(node)
        for one in (node, *rest):
            del self.nodes[one.id]
        return self._bin(node, rest, key)

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:
        self._alive()
        del entry, path
        return key if key in self.trash else None

    async def restore(self, token: str) -> PathParts:
        self._alive()
        if token not in self.trash:
            raise ItemError("not-restorable", "It is not in the trash.")
        node, rest = self.trash[token]
        if self.at(node.path) is not None:
            raise PreconditionFailed("destination-changed", f"Something is at {node.path}.")
        del self.trash[token]
        self.nodes |= {one.id: one for one in (node, *rest)}
        return node.path

    def _bin(self, node: Node, rest: list[Node], key: str | None) -> str:
        token = key or f"trash {self._number()}"
        assert token not in self.trash
        self.trash[token] = (node, rest)
        return token

    def _add(
        self, parent: Node | None, name: str, content: bytes | None = None, modified_at: datetime | None = None
    ) -> Node:
        node = Node(f"{self.system}-{self._number()}", parent, name, content, modified_at)
        self.nodes[node.id] = node
        return node

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _alive(self) -> None:
        if self.dead:
            raise FatalError("unreachable", f"{self.system} does not answer.")
