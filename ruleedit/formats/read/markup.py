"""XML from elsewhere: no document type, no entity, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from ruleedit.errors import FileRefused


def parsed(content: bytes, what: str) -> etree._Element:
    """The root of an XML document; raises `FileRefused` where it is damaged or has a document type."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise FileRefused(f"{what} is no readable XML: {str(problem)[:200]}") from None
    if getattr(root.getroottree().docinfo, "doctype", ""):
        raise FileRefused(f"{what} has a document type; entities are not read, leave it out")
    return root


def name_of(element: etree._Element) -> str:
    """An element's name without its namespace."""
    return etree.QName(element).localname


def elements(parent: etree._Element, *names: str) -> Iterator[etree._Element]:
    """The children with one of these names, or all of them, whatever their namespace; comments are passed over."""
    for child in parent:
        if isinstance(child.tag, str) and (not names or name_of(child) in names):
            yield child


def only(parent: etree._Element, name: str, where: str) -> etree._Element:
    """The one child of a name; raises `FileRefused` where there is none or another."""
    found = list(elements(parent, name))
    if len(found) != 1:
        raise FileRefused(f"{where}: {len(found)} elements {name!r}; one is accepted")
    return found[0]


def text_of(parent: etree._Element, name: str) -> str:
    """The text of a child, empty where there is none."""
    return "".join("".join(str(part) for part in child.itertext()) for child in elements(parent, name))


def line_of(element: etree._Element) -> str:
    """Where an element stands."""
    return f"line {element.sourceline}, <{name_of(element)}>"
