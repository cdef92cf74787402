"""Language tags: what containers and file names say, as BCP 47 (RFC 5646) writes it. Pure."""

import re

UNKNOWN = "und"
LONGEST = 35  # characters; RFC 5646, 4.4.1

# ISO 639-2, terminological and bibliographic codes, with the two-letter codes of ISO 639-1 that BCP 47 prefers to them.
_TWO_LETTERS = dict(
    pair.split(":")
    for pair in """
aar:aa abk:ab afr:af aka:ak alb:sq amh:am ara:ar arg:an arm:hy asm:as ava:av ave:ae aym:ay aze:az bak:ba bam:bm
baq:eu bel:be ben:bn bih:bh bis:bi bod:bo bos:bs bre:br bul:bg bur:my cat:ca ces:cs cha:ch che:ce chi:zh chu:cu
chv:cv cor:kw cos:co cre:cr cym:cy cze:cs dan:da deu:de div:dv dut:nl dzo:dz ell:el eng:en epo:eo est:et eus:eu
ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fre:fr fry:fy ful:ff geo:ka ger:de gla:gd gle:ga glg:gl glv:gv gre:el
grn:gn guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy ibo:ig ice:is ido:io iii:ii iku:iu
ile:ie ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks kat:ka kau:kr kaz:kk khm:km kik:ki
kin:rw kir:ky kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg
mac:mk mah:mh mal:ml mao:mi mar:mr may:ms mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nau:na nav:nv nbl:nr
nde:nd ndo:ng nep:ne nld:nl nno:nn nob:nb nor:no nya:ny oci:oc oji:oj ori:or orm:om oss:os pan:pa per:fa pli:pi
pol:pl por:pt pus:ps que:qu roh:rm ron:ro rum:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slo:sk slv:sl sme:se
smo:sm sna:sn snd:sd som:so sot:st spa:es sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty tam:ta tat:tt
tel:te tgk:tg tgl:tl tha:th tib:bo tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz
ven:ve vie:vi vol:vo wel:cy wln:wa wol:wo xho:xh yid:yi yor:yo zha:za zho:zh zul:zu
""".split()  # noqa: SIM905 - the list would be two hundred lines long
)
_BIBLIOGRAPHIC = re.compile("alb|arm|baq|bur|chi|cze|dut|fre|geo|ger|gre|ice|mac|mao|may|per|rum|slo|tib|wel")
_THREE_LETTERS = {two: three for three, two in _TWO_LETTERS.items() if not _BIBLIOGRAPHIC.match(three)}
_OLD = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "scr": "hr", "scc": "sr"}  # withdrawn codes
_NO_LANGUAGE = {"unk", "mis", "xxx"}  # what some writers say where they know of none
_SUBTAG = re.compile(r"[a-z0-9]{1,8}")


def clean(tag: str | None) -> str:
    """Return a language tag as BCP 47 writes it, `und` for what is none: `eng` is `en`, `PT_br` is `pt-BR`.

    Variants and extensions are dropped. A three-letter code without a two-letter one stays, as `yue`.
    """
    first, *rest = re.split("[-_]", (tag or "").strip().lower()[:LONGEST])
    language = _language(first)
    return UNKNOWN if language == UNKNOWN else "-".join([language, *_script_and_region(rest)])


def primary(tag: str) -> str:
    """Return the language of a tag without script and region: `pt` of `pt-BR`."""
    return tag.partition("-")[0]


def three_letters(tag: str) -> str:
    """Return the code of ISO 639-2 of a language tag, as containers have it: `por` of `pt-BR`."""
    code = primary(tag).lower()
    found = _THREE_LETTERS.get(code, code)
    return found if re.fullmatch("[a-z]{3}", found) else UNKNOWN


def _language(code: str) -> str:
    code = _OLD.get(code, code)
    code = _TWO_LETTERS.get(code, code)
    is_private = "qaa" <= code <= "qtz"  # broadcasters say so of the original sound, whatever its language
    if len(code) == 2:
        return code if code in _TWO_LETTERS.values() else UNKNOWN
    is_code = re.fullmatch("[a-z]{3}", code) and not is_private and code not in _NO_LANGUAGE
    return code if is_code else UNKNOWN


def _script_and_region(subtags: list[str]) -> list[str]:
    """Return the script and the region among the subtags that follow the language."""
    kept: list[str] = []
    for subtag in subtags:
        if not _SUBTAG.fullmatch(subtag) or len(subtag) == 1:
            break  # an extension, a private subtag, or garbage
        if re.fullmatch("[a-z]{4}", subtag) and not kept:
            kept.append(subtag.title())
        elif re.fullmatch("[a-z]{2}|[0-9]{3}", subtag):
            return [*kept, subtag.upper()]
    return kept
