"""HTML fragments as plain text.

Belongs here: how markup becomes lines and cells. Does not belong here: what the text says.
"""

import re
from html import unescape

from selectolax.lexbor import LexborHTMLParser

# Elements that browsers show on lines of their own (HTML Living Standard, section 15.3).
_BLOCKS = (
    "p,div,li,ul,ol,dl,dt,dd,tr,table,h1,h2,h3,h4,h5,h6,section,article,header,footer,aside,"
    "blockquote,pre,figure,figcaption,summary,details,hr,br,address,caption"
)
_INVISIBLE = ["script", "style", "noscript", "template", "iframe", "svg"]
_ZERO_WIDTH = re.compile(r"[\u200b\u200c\u200d\u2060\ufeff\u00ad]")
_BLANKS = re.compile(r"[^\S\n\t]+")
_TABS = re.compile(r" ?\t[ \t]*")


def plain_text(html: str) -> str:
    """Text of an HTML fragment: a line per block element, a tab between table cells."""
    if not html:
        return ""
    if "<" in html:
        tree = LexborHTMLParser(html.replace("\t", " ").replace("\n", " "))
        tree.strip_tags(_INVISIBLE)
        for node in tree.css("td,th"):
            node.insert_after("\t")
        for node in tree.css(_BLOCKS):
            node.insert_before("\n")
            node.insert_after("\n")
        text = tree.body.text() if tree.body is not None else ""
    else:
        text = unescape(html)
    text = _TABS.sub("\t", _BLANKS.sub(" ", _ZERO_WIDTH.sub("", text)))
    return "\n".join(line for raw in text.split("\n") if (line := raw.strip()))
