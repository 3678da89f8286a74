"""Numbers as word processors write them before headings and list items (ST_NumberFormat, ECMA-376 part 1, 17.18.59)."""

from __future__ import annotations

_ZH = "〇一二三四五六七八九"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"))
_ROMAN_SMALL = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))


def spelt(number: int, form: str) -> str:
    """`number` in the form of that name; in Arabic digits for forms that are rare."""
    if number < 1:
        return str(number)
    if form.startswith(("chinese", "ideographDigital", "japaneseCounting", "taiwanese")):
        return _chinese(number)
    if form in ("lowerLetter", "upperLetter"):
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letter if form == "lowerLetter" else letter.upper()
    if form in ("lowerRoman", "upperRoman"):
        return _roman(number) if form == "lowerRoman" else _roman(number).upper()
    if form.startswith("decimalEnclosedCircle") and number <= 20:
        return chr(0x2460 + number - 1)
    return str(number)


def _chinese(number: int) -> str:
    if number >= 100:
        return "".join(_ZH[int(digit)] for digit in str(number))
    tens, ones = divmod(number, 10)
    if not tens:
        return _ZH[ones]
    return ("" if tens == 1 else _ZH[tens]) + "十" + (_ZH[ones] if ones else "")


def _roman(number: int) -> str:
    text = ""
    for value, letters in (*_ROMAN, *_ROMAN_SMALL):
        while number >= value and len(text) < 40:
            text += letters
            number -= value
    return text
