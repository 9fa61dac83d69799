"""That a model made a file, as an XMP packet (ISO 16684-1) with the terms of IPTC and of China's labelling rules.

IPTC's Digital Source Type is what platforms look for (cv.iptc.org/newscodes/digitalsourcetype), and one of the
machine-readable marks for article 50(2) of the EU's AI Act. `TC260:AIGC` is the implicit label of annex E of
GB 45438-2025, in the form that the practice guides TC260-PG-20257A (videos) and TC260-PG-20259A (images) give it.
"""

from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

import msgspec
from msgspec import Struct

__all__ = ["COMPOSITE", "GENERATED", "Provenance"]

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = SOURCE_TYPES + "trainedAlgorithmicMedia"
"""Digital source type of what a model made as a whole."""
COMPOSITE = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
"""Digital source type of what a model made in a part only."""

_PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" \
xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" \
Iptc4xmpExt:AISystemUsed={system} Iptc4xmpExt:DigitalSourceType="{source_type}" xmp:CreateDate="{created}" \
xmp:CreatorTool={tool}><TC260:AIGC>{label}</TC260:AIGC></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""

AI_GENERATED = "1"
"""`Label` of annex E: it is certain that the content was generated."""


class _Label(Struct, kw_only=True):
    """The fields of annex E, in its order. The reserved ones are for signatures, and propagators add themselves."""

    Label: str
    ContentProducer: str
    ProduceID: str
    ReservedCode1: str = ""
    ContentPropagator: str = ""
    PropagateID: str = ""
    ReservedCode2: str = ""


class Provenance(Struct, frozen=True, kw_only=True):
    """Where a file is from: its digital source type, whose service made it with which tool and model, and when.

    `produce_id` is unique among all that the producer makes, `created` is Unix seconds.
    """

    source_type: str
    producer: str
    produce_id: str
    tool: str
    system: str
    created: float

    def label(self) -> str:
        """Return the label of GB 45438-2025 as JSON."""
        label = _Label(Label=AI_GENERATED, ContentProducer=self.producer, ProduceID=self.produce_id)
        return msgspec.json.encode(label).decode()

    def xmp(self) -> bytes:
        """Return the XMP packet."""
        moment = datetime.fromtimestamp(self.created, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return _PACKET.format(
            system=quoteattr(self.system),
            source_type=self.source_type,
            created=moment,
            tool=quoteattr(self.tool),
            label=escape(self.label()),
        ).encode()
