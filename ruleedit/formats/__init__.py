"""Formats of rule sets, one module each.

`EXPORTS` has a pure function for each format, from a draft to text or bytes; a format's module and the library behind
it are imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from ruleedit.errors import Refused, did_you_mean

if TYPE_CHECKING:
    from ruleedit.drafts import Draft

Export: TypeAlias = "Callable[[Draft], str | bytes]"
#: Each format's module and media type.
_FORMATS = {
    "json": ("canonical", "application/json"),
    "trxf": ("trxf", "application/json"),
    "pmml": ("pmml", "application/xml"),
    "dmn": ("dmn", "application/xml"),
    "dmn-xlsx": ("dmn_xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "jdm": ("jdm", "application/json"),
    "sql": ("sql", "application/sql"),
    "python": ("python", "text/x-python"),
    "csv": ("table_csv", "text/csv"),
    "html": ("html", "text/html"),
}
MEDIA_TYPES: Mapping[str, str] = {name: media for name, (_, media) in _FORMATS.items()}


class _Exports(Mapping[str, Export]):
    """The functions by their format's name, imported one by one."""

    def __getitem__(self, name: str) -> Export:
        module, _ = _FORMATS[name]
        made: Export = import_module(f"{__name__}.{module}").dumps
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(_FORMATS)

    def __len__(self) -> int:
        return len(_FORMATS)


EXPORTS: Mapping[str, Export] = _Exports()


def export(draft: Draft, form: str, *, dialect: str | None = None) -> bytes:
    """The draft in a format, as a file's bytes; ``dialect`` is for ``sql`` alone.

    Raises `Refused` for a format or dialect that there isn't, and for what the format can't say.
    """
    if form not in EXPORTS:
        raise Refused(f"no format {form!r}{did_you_mean(form, EXPORTS, most=len(EXPORTS))}")
    if dialect is not None and form != "sql":
        raise Refused(f"the format {form!r} has no dialects; sql has")
    if dialect is None:
        made = EXPORTS[form](draft)
    else:
        from ruleedit.formats import sql

        made = sql.dumps(draft, dialect=dialect)
    return made if isinstance(made, bytes) else made.encode()
