"""variance and stddev against exact rational arithmetic: the same text for random, awkward and adversarial sets.

usage: moments.py AGGREGATE_VALUES [SEED [SETS]]
"""
import math
import random
import subprocess
import sys
from fractions import Fraction

FUNCTIONS = ["variance", "variance:sample", "variance:population", "stddev", "stddev:sample", "stddev:population"]
DIGITS = 34


def written(negative, digits, exponent):
    """docs/aggregates.md: in full while neither part needs more than 34 digits, else d.ddde±XX."""
    point = len(digits) + exponent
    sign = "-" if negative else ""
    if point > DIGITS or -exponent > DIGITS:
        power = point - 1
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if exponent >= 0:
        return sign + digits + "0" * exponent
    if point > 0:
        return sign + digits[:point] + "." + digits[point:]
    return sign + "0." + "0" * -point + digits


def ending(value):
    """Digits and exponent of a fraction above 0 whose decimal expansion ends, else None."""
    denominator = value.denominator
    twos = fives = 0
    while denominator % 2 == 0:
        denominator //= 2
        twos += 1
    while denominator % 5 == 0:
        denominator //= 5
        fives += 1
    if denominator != 1:
        return None
    places = max(twos, fives)
    digits = str(value.numerator * 10**places // value.denominator)
    stripped = digits.rstrip("0")
    return stripped, len(digits) - len(stripped) - places


def compare_root(square, other):
    """sign of sqrt(square) - other, other >= 0."""
    return (square > other * other) - (square < other * other)


def nearest_double(square, root):
    """Nearest double (ties to even) of square, or of its root, from exact comparisons alone; inf when beyond."""
    def sign(other):
        return compare_root(square, other) if root else (square > other) - (square < other)

    # The greatest double that is not above, by bisecting over the bits of positive doubles: they are in order.
    low, high = 0, 0x7ff0000000000000
    while high - low > 1:
        middle = (low + high) // 2
        if sign(exactly(middle)) >= 0:
            low = middle
        else:
            high = middle
    above = exactly(low + 1) if low + 1 < 0x7ff0000000000000 else Fraction(2) ** 1024
    side = sign((exactly(low) + above) / 2)
    bits = low + 1 if side > 0 or (side == 0 and low % 2 == 1) else low
    return math.inf if bits == 0x7ff0000000000000 else as_double(bits)


def as_double(bits):
    import struct
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def exactly(bits):
    return Fraction(as_double(bits))


def rounded_to_17(square, root):
    """Half to even; of a root, which is never halfway here."""
    value = square
    scale = 0
    while (math.isqrt(value.numerator // value.denominator) if root else value.numerator // value.denominator) < 10**20:
        value *= 10 ** (20 if root else 10)
        scale -= 10
    while (math.isqrt(value.numerator // value.denominator) if root else value.numerator // value.denominator) >= 10**17:
        value /= 100 if root else 10
        scale += 1
    low = math.isqrt(value.numerator // value.denominator) if root else value.numerator // value.denominator
    half = Fraction(2 * low + 1, 2)
    side = compare_root(value, half) if root else (value > half) - (value < half)
    low += side > 0 or (side == 0 and low % 2 == 1)
    digits = str(low)
    stripped = digits.rstrip("0")
    return written(False, stripped, scale + len(digits) - len(stripped))


def text_of(square, root):
    if square == 0:
        return "0"
    exact = ending(square)
    if root and exact:
        top, bottom = math.isqrt(square.numerator), math.isqrt(square.denominator)
        is_square = top * top == square.numerator and bottom * bottom == square.denominator
        exact = ending(Fraction(top, bottom)) if is_square else None
    if exact and len(exact[0]) <= DIGITS:
        return written(False, *exact)
    nearest = nearest_double(square, root)
    if nearest == 0 or math.isinf(nearest):
        return rounded_to_17(square, root)
    mantissa, _, power = repr(nearest).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    stripped = digits.rstrip("0")
    exponent = int(power or 0) - len(fraction) + len(digits) - len(stripped)
    return written(False, stripped, exponent)


def expected(numbers):
    values = [Fraction(text) for text in numbers]
    n = len(values)
    if n == 0:
        return ["null"] * 6
    mean = sum(values) / n
    squares = sum((value - mean) ** 2 for value in values)
    population = squares / n
    out = {}
    for root in (False, True):
        sample = text_of(squares / (n - 1), root) if n > 1 else "null"
        out[root] = [sample, sample, text_of(population, root)]
    return out[False] + out[True]


def random_number(rng, kind):
    sign = rng.choice(["", "-"])
    if kind == "price":
        return f"{sign}{rng.randrange(1000)}.{rng.randrange(100):02d}"
    if kind == "integer":
        return f"{sign}{rng.randrange(10 ** rng.randrange(1, 34))}".replace("-0", "0")
    if kind == "close":  # what a naive sum of squares in doubles loses altogether
        return f"{10**rng.choice([9, 15, 30]) + rng.randrange(5)}"
    if kind == "long":
        return f"{sign}{rng.randrange(10**9)}.{rng.randrange(10**24):024d}"
    if kind == "extreme":
        return f"{sign}{rng.randrange(1, 10**rng.randrange(1, 34))}e{rng.randrange(-324, 275)}"
    return rng.choice(["0", "1e308", "-1e308", "9.99e308", "1e-324", "-9.99e308", "5e-324", "1e-160", "1e154",
                       "9999999999999999999999999999999999e275", "1.234567890123456789012345678901234e-324"])


def random_set(rng):
    kinds = [rng.choice(["price", "integer", "close", "long", "extreme", "edge"])]
    if rng.random() < 0.2:
        kinds.append(rng.choice(["price", "extreme", "edge"]))
    size = rng.choice([0, 1, 2, 2, 3, 4, 5, 8, 10, 16, 25, 40])
    return [random_number(rng, rng.choice(kinds)) for _ in range(size)]


def awkward_sets(rng):
    yield "2 4 4 4 5 5 7 9".split()
    yield "1 2".split()
    yield ["7"] * 30
    yield "0 0 1".split()
    for _ in range(60):
        # The deviation of x−d, x+d is d: an exact one of 1 to 34 digits.
        d = rng.randrange(1, 10 ** rng.randrange(1, 33))
        x = rng.randrange(10**32)
        power = rng.randrange(-300, 200)
        yield [f"{x + d}e{power}", f"{x - d}e{power}"]
        # Halfway between two doubles, and as little beside it as 34 digits allow, with a whole cloud around.
        m = (2**52 + rng.randrange(2**52)) * 4 + 2
        yield [f"{m}", f"-{m}"]
        yield [f"{m}", f"-{m}", "1e-300", "-1e-300"]
        yield [f"{m}", f"-{m}", f"{m}", f"-{m}", f"{m}.0000000000000001", f"-{m}"]
        # The root is halfway but for something 616 places behind.
        yield [f"{m}", f"-{m}", "1e-300", "-1e-300", "0", "0", "0", "0"]
        yield [f"{m}e100", f"-{m}e100", "1e-300", "0", "0", "0", "0", "0"]
        # n = 3 and 6: quotients without end, near a double.
        yield [f"{3 * m}", "1e-324", f"-{3 * m}"]
        yield [f"{m}e250", "1e-324", "1e250"]


def main():
    program = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20240229
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1500
    rng = random.Random(seed)
    sets = list(awkward_sets(rng)) + [random_set(rng) for _ in range(count)]
    text = "".join(" ".join(numbers) + "\n" for numbers in sets)
    run = subprocess.run([program, *FUNCTIONS], input=text, capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert len(lines) == len(sets), (len(lines), len(sets))
    for numbers, line in zip(sets, lines):
        actual, wanted = line.split("\t"), expected(numbers)
        if actual != wanted:
            print(f"seed {seed}: {' '.join(numbers)}")
            for function, a, w in zip(FUNCTIONS, actual, wanted):
                print(f"  {function}: {a}, expected {w}{'' if a == w else '   <<<'}")
            sys.exit(1)
    print(f"{len(sets)} sets agree")


if __name__ == "__main__":
    main()
