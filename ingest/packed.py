"""What the zipped formats (DOCX, PPTX, XLSX, EPUB) share: parts taken out within limits, XML without entities."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

from kb.errors import ReadError

_MOST_MEMBERS = 20_000
_MOST_BYTES = 400 << 20  # of all parts together, unpacked
_MOST_PART = 128 << 20
_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an OLE container: encrypted, or the format of before 2007


class Package:
    """A zip archive that is not trusted. Use as a context manager."""

    def __init__(self, path: Path, kind: str) -> None:
        """Raises ReadError if `path` is no such archive, encrypted, or would unpack to more than it may."""
        self._kind = kind
        with path.open("rb") as file:
            if file.read(8) == _ENCRYPTED:
                raise ReadError(
                    f"is encrypted, or of an older format than {kind}: save it as {kind} without a password"
                )
        try:
            self._zip = zipfile.ZipFile(path)
            members = self._zip.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise ReadError(f"is damaged: it cannot be opened as {kind}") from None
        unpacked = sum(member.file_size for member in members)
        if len(members) > _MOST_MEMBERS or unpacked > _MOST_BYTES:
            raise ReadError(
                f"would unpack to {len(members):,} parts of {unpacked / (1 << 20):,.0f} MB, more than is read"
            )
        self.names = {member.filename for member in members}

    def __enter__(self) -> Package:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def bytes(self, name: str) -> bytes:
        """One part, never more than its limit whatever its header says. Raises ReadError."""
        try:
            with self._zip.open(name) as part:
                data = part.read(_MOST_PART + 1)
        except KeyError:
            raise ReadError(f"is damaged: its part {name} is missing, so it is no {self._kind}") from None
        except RuntimeError:
            raise ReadError(f"is encrypted: save it as {self._kind} without a password") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError):
            raise ReadError(f"is damaged: its part {name} cannot be unpacked") from None
        if len(data) > _MOST_PART:
            raise ReadError(f"has a part ({name}) of more than {_MOST_PART >> 20} MB, larger than is read")
        return data

    def xml(self, name: str) -> Any:
        """One part as an lxml element. Raises ReadError."""
        return parse_xml(self.bytes(name), name)


def parse_xml(data: bytes, name: str) -> Any:
    """An lxml element of `data`; entities are not expanded, nothing outside is loaded. Raises ReadError."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise ReadError(f"is damaged: its part {name} is not valid XML ({str(error)[:80]})") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ReadError(f"is refused: its part {name} declares entities, as no honest file of this kind does")
    return root
