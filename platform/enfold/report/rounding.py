"""Exact numbers as decimal text: rounding happens here, at display, and nowhere else."""

from decimal import Decimal
from fractions import Fraction


def rounded(value: Fraction | Decimal | int, places: int = 1, rounding: str = "half_up") -> str:
    """Return a number as decimal text, a tie away from zero (`half_up`) or to the even digit (`half_even`)."""
    exact = abs(Fraction(value)) * 10**places
    digits, rest = divmod(exact.numerator, exact.denominator)
    twice = 2 * rest - exact.denominator
    if twice > 0 or (twice == 0 and (rounding == "half_up" or digits % 2)):
        digits += 1
    # not by way of a Decimal: that would be cut to 28 digits, and a small one shown with an exponent
    sign = "-" if value < 0 and digits else ""
    text = str(digits).zfill(places + 1)
    return f"{sign}{text[:-places]}.{text[-places:]}" if places else f"{sign}{text}"


def exact(value: Fraction | Decimal | int) -> str:
    """Return a number as text without loss: an integer, a finite decimal, or numerator/denominator."""
    found = Fraction(value)
    rest, places = found.denominator, 0
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
        places = max(places, power)
    if rest != 1:
        return f"{found.numerator}/{found.denominator}"
    return str(found.numerator) if places == 0 else rounded(found, places)
