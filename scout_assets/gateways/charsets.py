"""Text from bytes: the character set of a file that does not say it.

Belongs here: byte order marks, UTF-8, and guessing anything else by the letters that come out.
Does not belong here: what the text is (`delimited`, `page_tables`).

Counters: `text/nul_removed`, `text/charset_guessed`, `text/charset_unsure`.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

from charset_normalizer import from_bytes

from scout_assets.domain.failures import BrokenContract

__all__ = ["decoded"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SINGLE = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257"),
    *("iso8859_15", "iso8859_2", "iso8859_5", "iso8859_7", "iso8859_9", "koi8_r", "koi8_u"),
    *("cp850", "cp852", "cp866", "cp437", "mac_roman", "mac_cyrillic"),
)
"""Character sets of one byte per sign; on a draw the earlier."""
_HAN, _KANA, _HANGUL = (
    re.compile(signs) for signs in ("[\u4e00-\u9fff]", "[\u3041-\u30fe]", "[\uac00-\ud7a3]")
)
_SCRIPTS = {
    "gb18030": (_HAN, 0.7),
    "big5": (_HAN, 0.7),
    "cp932": (_KANA, 0.15),
    "euc_jp": (_KANA, 0.15),
    "cp949": (_HANGUL, 0.7),
}
_DOUBLE = tuple(_SCRIPTS)
"""Those of two and more, each with the older ones of its country; what their texts hold most of."""
_ALPHABETS = (
    "äüößÄÜÖẞéàè",  # German
    "éèàêçôâîûùëïœüÿæ",  # French
    "óíáéñúüàèò",  # Spanish, Italian, Catalan
    "ãçáéóíêúõâàô",  # Portuguese
    "łóżąęśćńź",
    "íáéěýčžřšůúňťďóľĺŕôä",  # Czech, Slovak
    "áéőöóíüúű",
    "ăîâșțşţ",
    "öäåé",
    "øåæéö",  # Danish, Norwegian, Icelandic loans
    "ıüşöçğİâî",
    "šžčćđ",
    "šėžąūįęčų",
    "āīšēņļķģūčž",
    "õäüöšž",
    "éëïöèü",  # Dutch
    "оаеинтрсвлкмдпуяыьгзбчйхжшюцщэфъё",
    "оанивтерсклудмпзяьбгйчхцїжюєшщфґі",
    "аоиетнрсвлкдпмузябъчгщжцхюйшфь",
    "αοιετσνηυρπκμλςωάίόέήύώδγχθφβξζψϊϋ",
)
"""Letters beyond ASCII by language, the frequent ones first."""
_OF_SEVERAL_LANGUAGES = (
    "éèàüöäóáñçíêôúãâîûõåøæßìòùëïœ",
    "łóżąęśćńźíáéěýčžřšůúňťďľĺŕôäöüőűăâîșțşţđ",
)
"""A list of goods from everywhere, in western or central Europe."""
_FREQUENT, _RARE, _AMONG_OTHERS = 1.0, 0.8, 0.85
_MOST_FREQUENT = 10
_GREEK = 0x370
"""Latin letters end before; later ones do not stand beside those of ASCII in one word."""
_MONEY = frozenset("€£¥₽₴")
_SIGNS = frozenset("©®°²³½¼¾×–—’‘“”„«»…•·№™¡¿§µ±ªºØø\u00a0\u202f")  # noqa: RUF001
_SIGN, _LONE = 0.85, 0.5
_SURE = 0.8
"""Likeness from which a text is of its language."""
_MESS = 0.5
"""Disorder in the library's measure: it only orders what can be decoded."""
_SAMPLE = 20_000


def decoded(
    data: bytes,
    name: str,
    counters: Counter[str],
    notices: list[str],
    encoding: str | None = None,
) -> str:
    """The text of a file: as `encoding` says, by its byte order mark, as UTF-8, or guessed.

    Raises BrokenContract for what is no text, or none in `encoding`.
    """
    marked = next((charset for mark, charset in _MARKS if data.startswith(mark)), None)
    charset = encoding or marked or _unmarked_utf16(data)
    zeros = data.count(0)
    if charset is None and zeros > len(data) // 1000:
        raise BrokenContract(
            f"{name} holds {zeros:,} NUL bytes and is no text, workbook, PDF or page; give csv,"
            " xlsx, ods or pdf, or name its character set in `encoding`, such as utf-16-le"
        )
    text = _decode(data, charset, name, counters, notices)
    if "\0" in text:
        counters["text/nul_removed"] += text.count("\0")
        notices.append(f"{text.count(chr(0))} NUL characters were left out")
        text = text.replace("\0", "")
    if len(_CONTROLS.findall(text[:100_000])) > len(text[:100_000]) // 200:
        raise BrokenContract(
            f"{name} is no text, workbook, PDF or page; give csv, xlsx, ods or pdf"
        )
    return text


_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]")


def _unmarked_utf16(data: bytes) -> str | None:
    head = data[:2000]
    halves = (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2]))
    for charset, zeros, letters in halves:
        if len(head) >= 8 and zeros.count(0) > 0.7 * len(zeros) and letters.count(0) == 0:
            return charset
    return None


def _decode(
    data: bytes, charset: str | None, name: str, counters: Counter[str], notices: list[str]
) -> str:
    try:
        return data.decode(charset or "utf-8")
    except (UnicodeDecodeError, LookupError) as error:
        if charset is not None:
            raise BrokenContract(
                f"{name} is cut short or not {charset} ({error}); see `encoding`"
            ) from error
    mended = data.decode("utf-8", errors="replace")
    spoilt = mended.count("\ufffd")
    if spoilt <= sum(map(len, _BEYOND_ASCII.findall(mended))) // 20:
        notices.append(f"{spoilt} letters of its UTF-8 are spoilt and read as \ufffd")
        return mended
    guessed, sure = _guessed(data)
    counters["text/charset_guessed"] += 1
    counters["text/charset_unsure"] += not sure
    doubt = "" if sure else ", which is hardly right"
    notices.append(
        f"not UTF-8; read as {guessed}{doubt}; if letters look wrong, name its character set in"
        " `encoding` or save it as UTF-8"
    )
    return data.decode(guessed, errors="replace")


_BEYOND_ASCII = re.compile(r"[^\x00-\x7f\ufffd]+")


def _guessed(data: bytes) -> tuple[str, bool]:
    """The likeliest character set, and whether its letters are those of a language."""
    sample = _telling(data)
    scores = {charset: _likeness(_shown(sample, charset)) for charset in _SINGLE}
    single = max(_SINGLE, key=lambda charset: scores[charset])
    double = _double(sample) if scores[single] < _SURE else None
    return (double, True) if double else (single, scores[single] >= _SURE)


def _double(sample: bytes) -> str | None:
    """The character set of Chinese, Japanese or Korean that the sample may be in."""
    fitting = [charset for charset in _DOUBLE if _is_of_its_script(sample, charset)]
    best = from_bytes(sample, cp_isolation=fitting, threshold=_MESS).best() if fitting else None
    return None if best is None else best.encoding


def _is_of_its_script(sample: bytes, charset: str) -> bool:
    """Whether all decodes, and mostly into the letters that texts of the country hold."""
    try:
        signs = _ONE_BEYOND_ASCII.findall(sample.decode(charset))
    except UnicodeDecodeError:
        return False
    script, least = _SCRIPTS[charset]
    return len(script.findall("".join(signs))) >= least * len(signs)


def _telling(data: bytes) -> bytes:
    """Whole lines with bytes beyond ASCII, from the top."""
    lines, size = [], 0
    for line in data.splitlines():
        if not line.isascii():
            lines.append(line)
            size += len(line)
            if size > _SAMPLE:
                break
    return b"\n".join(lines)[: 2 * _SAMPLE]


def _shown(sample: bytes, charset: str) -> str:
    return sample.decode(charset, errors="replace")


def _likeness(text: str) -> float:
    """How well the signs beyond ASCII fit the language they fit best, at most 1."""
    if _is_crowded(text):
        return 0.0
    found = Counter(_around(text))
    worths = (
        sum(_worth(around, language) * n for around, n in found.items()) for language in _WEIGHTS
    )
    return max(worths) / max(found.total(), 1)


def _is_crowded(text: str) -> bool:
    """Whether words with letters beyond ASCII consist of them mostly, as in no Latin language."""
    words = [word for word in _WORD.findall(text) if len(word) > 1 and not word.isascii()]
    beyond = [letter for word in words for letter in word if not letter.isascii()]
    latin = sum(ord(letter) < _GREEK for letter in beyond) > len(beyond) / 2
    return latin and len(beyond) > _CROWD * sum(map(len, words))


_WORD = re.compile(r"[^\W\d_]+")
_CROWD = 0.45


def _weighed(alphabet: str, frequent: float, rare: float) -> dict[str, float]:
    small = {
        letter: frequent if place < _MOST_FREQUENT else rare
        for place, letter in enumerate(alphabet)
    }
    return small | {c.upper(): weight for c, weight in small.items() if len(c.upper()) == 1}


_WEIGHTS = (
    *(_weighed(alphabet, _FREQUENT, _RARE) for alphabet in _ALPHABETS),
    *(_weighed(alphabet, _AMONG_OTHERS, _AMONG_OTHERS) for alphabet in _OF_SEVERAL_LANGUAGES),
)


def _around(text: str) -> Iterator[str]:
    """Each sign beyond ASCII with the one before and the one after it."""
    padded = f" {text} "
    for match in _ONE_BEYOND_ASCII.finditer(padded):
        yield padded[match.start() - 1 : match.start() + 2]


_ONE_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def _worth(around: str, language: Mapping[str, float]) -> float:
    """A letter stands beside letters and is no capital after a small one; a sign is apart."""
    before, sign, after = around[0], around[1], around[2]
    lone = not (before.isalpha() or after.isalpha())
    if not sign.isalpha() or (lone and sign in _SIGNS):
        between = before.isalpha() and after.isalpha()
        known = _FREQUENT if sign in _MONEY else _SIGN if sign in _SIGNS else -1.0
        return -1.0 if between else known
    mixed = ord(sign) >= _GREEK and any(c.isascii() and c.isalpha() for c in (before, after))
    capital = any(a.islower() and b.isupper() for a, b in pairwise(around))
    if mixed or capital or before.isdigit() or after.isdigit():
        return -1.0
    return min(_LONE if lone else 1.0, language.get(sign, -1.0))
