"""The encoding of a text that comes from outside. Pure."""

import codecs

from charset_normalizer import from_bytes

SAMPLE = 256 << 10  # bytes by which an encoding is recognised

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings of before Unicode, by the languages that were written in them. Short texts of these are often mistaken.
_LEGACY = {
    ("cp1252",): "ca da de en es eu fi fr ga gl id is it ms nl nb nn no pt sv",
    ("cp1250",): "bs cs hr hu pl ro sk sl sq",
    ("cp1251", "koi8_r"): "be bg kk ky mk mn ru sr uk",
    ("cp1253",): "el",
    ("cp1254",): "az tr",
    ("cp1255",): "he yi",
    ("cp1256",): "ar fa ur",
    ("cp1257",): "et lt lv",
    ("cp1258",): "vi",
    ("cp874",): "th",
    ("cp932", "euc_jp"): "ja",
    ("gb18030", "big5"): "zh",
    ("cp949",): "ko",
}
_USUAL = {language: encodings for encodings, languages in _LEGACY.items() for language in languages.split()}


def encoding_of(data: bytes, language: str = "und") -> str:
    """Return the encoding of a file: by its byte order mark, UTF-8, or the one that it most probably has.

    language (BCP 47) helps to tell encodings apart.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    if not data[:SAMPLE].count(0):
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return "utf-8"
    return _recognised(data[:SAMPLE], language)


def decoded(data: bytes, language: str = "und") -> str:
    """Return the text of a file in the encoding that it has; what cannot be decoded becomes U+FFFD."""
    return data.decode(encoding_of(data, language), "replace")


def _recognised(sample: bytes, language: str) -> str:
    usual = _USUAL.get(language.partition("-")[0])
    found = [*from_bytes(sample, cp_isolation=[*usual])] if usual and not sample.count(0) else []
    found = found or [*from_bytes(sample)]  # the language may be wrong
    if not found:
        return usual[0] if usual else "cp1252"
    best = found[0]
    # Texts in Western European languages are also possible in others, but those are rarer.
    alike = {each.encoding for each in found if (each.chaos, each.coherence) == (best.chaos, best.coherence)}
    return "cp1252" if "cp1252" in alike else best.encoding
