"""Resolution of guest paths, one component at a time, below a folder and never above it.

A folder is walked by opening each component relative to the folder before it, without following
links; links are read and their components take the link's place. `..` goes back to the folder
the walk came through, which is still open, so renaming folders under a running walk cannot lead
it outside; above the starting folder there is nothing. Absolute paths and absolute links are
refused. The last component is left to the operation itself, which must not follow links either:
there is no moment between check and use.
"""

from __future__ import annotations

from dataclasses import dataclass

from jitwasm.wasi.abi import WasiError
from jitwasm.wasi.descriptors import Directory
from jitwasm.wasi.guest import MAX_PATH

__all__ = ["Place", "resolve"]

MAX_LINKS = 40
MAX_NAME = 255
MAX_DEPTH = 256  # folders that a walk holds open: each takes a descriptor of the host


@dataclass
class Place:
    """Where a path leads: an entry of a folder, or (name None) the folder itself.

    Attributes:
        directory: the folder.
        name: the last component.
        must_be_directory: the path ended in a slash.
    """

    directory: Directory
    name: str | None
    must_be_directory: bool
    _chain: list[Directory]

    def close(self) -> None:
        for directory in self._chain[1:]:
            directory.close()

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def entry(self, errno: str = "INVAL") -> str:
        """The name, for operations that need an entry rather than the folder itself."""
        if self.name is None:
            raise WasiError(errno)
        return self.name


def resolve(root: Directory, path: str, follow: bool) -> Place:
    """Walk `path` from `root`; `follow` says whether a link as last component is followed."""
    if not path:
        raise WasiError("NOENT")
    if path.startswith("/"):
        raise WasiError("PERM")
    if len(path) > MAX_PATH:
        raise WasiError("NAMETOOLONG")
    chain: list[Directory] = [root]
    try:
        return _walk(chain, path, follow)
    except BaseException:
        for directory in chain[1:]:
            directory.close()
        raise


def _walk(chain: list[Directory], path: str, follow: bool) -> Place:
    # The components still to walk, the next one last.
    rest = path.split("/")[::-1]
    must_be_directory = False
    links = 0
    while rest:
        name = rest.pop()
        trailing = all(part in ("", ".") for part in rest)
        if trailing and rest:
            must_be_directory = True
        if name in ("", "."):
            continue
        if name == "..":
            if len(chain) == 1:
                raise WasiError("PERM")
            chain.pop().close()
            continue
        if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME:
            raise WasiError("NAMETOOLONG")
        if trailing and not (follow or must_be_directory):
            return Place(chain[-1], name, must_be_directory, chain)
        found = _enter(chain[-1], name, trailing)
        if isinstance(found, str):
            links += 1
            if links > MAX_LINKS:
                raise WasiError("LOOP")
            if found.startswith("/") or not found:
                raise WasiError("PERM" if found else "NOENT")
            rest.extend(found.split("/")[::-1])
        elif trailing:
            if found is not None:
                found.close()
            return Place(chain[-1], name, must_be_directory, chain)
        elif found is None:
            raise WasiError("NOTDIR")
        else:
            chain.append(found)
            if len(chain) > MAX_DEPTH:
                raise WasiError("NAMETOOLONG")
    return Place(chain[-1], None, must_be_directory, chain)


def _enter(directory: Directory, name: str, last: bool) -> Directory | str | None:
    try:
        return directory.enter(name)
    except FileNotFoundError:
        if last:  # a file about to be created
            return None
        raise WasiError("NOENT") from None
